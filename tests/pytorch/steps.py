"""Training from the same weights on the same batches: weights and running statistics stay within 1e-5 of PyTorch's.

Epochs of four batches, the last of them short, under a cosine schedule; a hundred steps, or twenty for the large networks.

    python3 tests/pytorch/steps.py BUILD_DIR CC
"""
import math
import os
import struct
import subprocess
import sys
import tempfile

from common import compile_example, here, run

import torch
from safetensors.torch import load_file, save_file

from models import NETWORKS

TOLERANCE = 1e-5
EPOCH = (16, 16, 16, 12)
optim = torch.optim
OPTIMIZERS = {
    "sgd(lr=0.05, momentum=0.9, nesterov=true, weight_decay=1e-3)":
        lambda p: optim.SGD(p, 0.05, 0.9, nesterov=True, weight_decay=1e-3),
    "adam(lr=1e-3, weight_decay=1e-3)": lambda p: optim.Adam(p, 1e-3, weight_decay=1e-3),
    "adamw(lr=1e-3)": lambda p: optim.AdamW(p, 1e-3),
    "rmsprop(lr=1e-3, momentum=0.5)": lambda p: optim.RMSprop(p, 1e-3, momentum=0.5),
}
# The network, the line of its optimizer, the precision, the steps, and the optimizers (all). In f32, residual's batch
# normalisation and ReLUs part any two orders of summation within 100 steps: PyTorch's own f32 is then 1e-2 from its f64.
CASES = [("residual", "sgd(lr=0.1, momentum=0.9, weight_decay=1e-4)", "f64", 100, OPTIMIZERS),
         ("iris", "adam(lr=0.01)", "f32", 100, OPTIMIZERS),
         ("mixer", "sgd(lr=0.05, momentum=0.9)", "f32", 100, OPTIMIZERS),
         ("resnet18", "adam(lr=1e-3)", "f64", 20, ["adamw(lr=1e-3)"]),
         ("densenet121", "adam(lr=1e-3)", "f64", 20, ["adamw(lr=1e-3)"])]


def cosine(rate, step, steps):
    return rate * (1 + math.cos(math.pi * (step // len(EPOCH)) * len(EPOCH) / steps)) / 2


def our_weights(name, line, optimizer, precision, state, batches, folder):
    obj, exe, weights, data, out = (os.path.join(folder, f) for f in ("m.o", "m", "w.safetensors", "b.bin", "o.safetensors"))
    compile_example(name, obj, "--precision", precision, "--batch", max(EPOCH), edit=[(line, optimizer)])
    save_file(state, weights)
    with open(data, "wb") as f:
        for rate, x, y in batches:
            f.write(struct.pack("dq", rate, len(x)) + x.numpy().tobytes() + y.to(torch.int32).numpy().tobytes())
    subprocess.run([sys.argv[2], f'-DHEADER="{folder}/m.h"', f"-DMODEL=dlc_v1_{name}", os.path.join(here, "steps.c"), obj,
                    "-o", exe, "-lm", "-lpthread"], check=True)
    subprocess.run([exe, weights, data, out], check=True)
    return load_file(out)


def make_batches(name, real, rate, steps):
    _, _, _, _, make_input, make_target = NETWORKS[name]
    for step in range(steps):
        x, y = make_input(EPOCH[step % len(EPOCH)]), make_target(EPOCH[step % len(EPOCH)])
        yield cosine(rate, step, steps), x.to(real) if x.is_floating_point() else x, y


def check(name, line, precision, steps, optimizer, folder):
    torch.manual_seed(4)
    real = torch.float64 if precision == "f64" else torch.float32
    model = NETWORKS[name][0]().to(real)
    state = {k: v.clone() for k, v in model.state_dict().items()}
    step = OPTIMIZERS[optimizer](model.parameters())
    batches = list(make_batches(name, real, step.param_groups[0]["lr"], steps))
    model.train()
    for rate, x, y in batches:
        step.param_groups[0]["lr"] = rate
        step.zero_grad()
        model.loss(x, y).backward()
        step.step()
    ours = our_weights(name, line, optimizer, precision, state, batches, folder)
    want = {k: v for k, v in model.state_dict().items() if v.is_floating_point()}
    error = max((ours[k].double() - want[k].double()).abs().max().item() for k in want)
    moved = max((p - state[k]).abs().max().item() for k, p in model.named_parameters())
    print(f"{name} {precision}, {steps} steps of {optimizer}: moved by {moved:.1e}, apart by {error:.1e}", flush=True)
    assert moved > 1e-2, f"{name}: the weights should have moved"
    return error <= TOLERANCE


with tempfile.TemporaryDirectory() as folder:
    results = [check(*case, optimizer, folder) for *case, optimizers in CASES for optimizer in optimizers]
print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
sys.exit(not all(results))
