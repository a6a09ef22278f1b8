"""Gradients of the large networks against PyTorch's in f64, on a batch of 4 images of 28x28: every parameter's, with
an error relative to its norm.

    python3 tests/pytorch/gradients.py BUILD_DIR

In f64 with batch statistics, to 1e-9. In f32 to 1e-4: resnet18 with batch statistics too; densenet121 with running
ones, because over the four values a channel that are left of such a batch, normalisation amplifies f32 rounding to
1e-2 in PyTorch as well (its own error is printed beside ours).
"""
import os
import tempfile

from common import compile_example, run

import torch
from safetensors.torch import load_file, save_file

from models import NETWORKS

BATCH = 4


def torch_gradients(model, x, label, evaluation):
    model.train(not evaluation)
    model.zero_grad()
    model.loss(x, label).backward()
    return {name: p.grad.clone() for name, p in model.named_parameters()}


def our_gradients(name, state, x, label, precision, evaluation, folder):
    so, weights, given, got = (os.path.join(folder, f) for f in ("m.so", "w.safetensors", "i.safetensors", "g.safetensors"))
    compile_example(name, so, "--precision", precision, "--batch", BATCH)
    save_file(state, weights)
    save_file({NETWORKS[name][3]: x, "label": label}, given)
    run("dlrun", "grad", so, "--weights", weights, "--inputs", given, "-o", got, *(["--eval"] if evaluation else []))
    return {k[5:]: v for k, v in load_file(got).items() if k.startswith("grad.")}


def worst(got, want):
    assert set(got) == set(want), set(got) ^ set(want)
    return max((((got[k].double() - want[k]).norm() / want[k].norm()).item(), k) for k in want)


def settle(model, make_input):
    model.train()
    with torch.no_grad():
        for _ in range(20):
            model(make_input(16))


def check(name, precision, evaluation, tolerance, folder):
    module, _, _, _, make_input, make_target = NETWORKS[name]
    torch.manual_seed(2)
    model, exact = module(), module().double()
    x, label = make_input(BATCH), make_target(BATCH)
    if evaluation:
        settle(model, make_input)
    state = {k: v.clone() for k, v in model.state_dict().items()}
    exact.load_state_dict(state)
    if precision == "f64":
        state = {k: v.clone() for k, v in exact.state_dict().items()}
    want = torch_gradients(exact, x, label, evaluation)
    theirs = worst(torch_gradients(model, x, label, evaluation), want)
    ours = worst(our_gradients(name, state, x, label, precision, evaluation, folder), want)
    statistics = "running" if evaluation else "batch"
    print(f"{name} {precision}, {statistics} statistics: {len(want)} parameters, worst {ours[0]:.1e} ({ours[1]}); "
          f"PyTorch's f32 {theirs[0]:.1e}", flush=True)
    assert ours[0] <= tolerance, f"{name} {precision}: {ours}"


with tempfile.TemporaryDirectory() as folder:
    check("resnet18", "f64", False, 1e-9, folder)
    check("densenet121", "f64", False, 1e-9, folder)
    check("resnet18", "f32", False, 1e-4, folder)
    check("resnet18", "f32", True, 1e-4, folder)
    check("densenet121", "f32", True, 1e-4, folder)
print("5 passed, 0 failed")
