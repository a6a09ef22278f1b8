"""A hundred optimizer steps from the same weights on the same batches: the weights stay within 1e-5 of PyTorch's.

    python3 tests/pytorch/steps.py BUILD_DIR CC
"""
import os
import subprocess
import sys
import tempfile

from common import compile_example, here, run

import torch
from safetensors.torch import load_file, save_file

from models import NETWORKS

TOLERANCE = 1e-5
STEPS, BATCH = 100, 16
optim = torch.optim
OPTIMIZERS = {
    "sgd(lr=0.05, momentum=0.9, nesterov=true, weight_decay=1e-3)":
        lambda p: optim.SGD(p, 0.05, 0.9, nesterov=True, weight_decay=1e-3),
    "adam(lr=1e-3, weight_decay=1e-3)": lambda p: optim.Adam(p, 1e-3, weight_decay=1e-3),
    "adamw(lr=1e-3)": lambda p: optim.AdamW(p, 1e-3),
    "rmsprop(lr=1e-3, momentum=0.5)": lambda p: optim.RMSprop(p, 1e-3, momentum=0.5),
}
# The network, the line of its optimizer, and the precision. In f32, residual's batch normalisation and ReLUs part any two
# orders of summation within 100 steps: PyTorch's own f32 is then 1e-2 from its f64.
CASES = [("residual", "sgd(lr=0.1, momentum=0.9, weight_decay=1e-4)", "f64"),
         ("iris", "adam(lr=0.01)", "f32"),
         ("mixer", "sgd(lr=0.05, momentum=0.9)", "f32")]


def our_weights(name, line, optimizer, precision, state, batches, folder):
    obj, exe, weights, data, out = (os.path.join(folder, f) for f in ("m.o", "m", "w.safetensors", "b.bin", "o.safetensors"))
    compile_example(name, obj, "--precision", precision, "--batch", BATCH, edit=[(line, optimizer)])
    save_file(state, weights)
    with open(data, "wb") as f:
        for x, y in batches:
            f.write(x.numpy().tobytes() + y.to(torch.int32).numpy().tobytes())
    subprocess.run([sys.argv[2], f'-DHEADER="{folder}/m.h"', f"-DMODEL=dlc_v1_{name}", os.path.join(here, "steps.c"), obj,
                    "-o", exe, "-lm", "-lpthread"], check=True)
    subprocess.run([exe, weights, data, str(STEPS), str(BATCH), out], check=True)
    return load_file(out)


def check(name, line, optimizer, precision, folder):
    torch.manual_seed(4)
    module, _, _, _, make_input, make_target = NETWORKS[name]
    real = torch.float64 if precision == "f64" else torch.float32
    model = module().to(real)
    state = {k: v.clone() for k, v in model.state_dict().items()}
    batches = [(make_input(BATCH).to(real), make_target(BATCH)) for _ in range(STEPS)]
    step = OPTIMIZERS[optimizer](model.parameters())
    model.train()
    for x, y in batches:
        step.zero_grad()
        model.loss(x, y).backward()
        step.step()
    ours = our_weights(name, line, optimizer, precision, state, batches, folder)
    want = dict(model.named_parameters())
    error = max((ours[k].double() - want[k].double()).abs().max().item() for k in want)
    moved = max((want[k] - state[k]).abs().max().item() for k in want)
    print(f"{name} {precision}, {optimizer}: moved by {moved:.1e}, apart by {error:.1e}", flush=True)
    assert moved > 1e-2, f"{name}: the weights should have moved"
    return error <= TOLERANCE


with tempfile.TemporaryDirectory() as folder:
    results = [check(*case, folder=folder) for case in
               ((name, line, optimizer, precision) for name, line, precision in CASES for optimizer in OPTIMIZERS)]
print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
sys.exit(not all(results))
