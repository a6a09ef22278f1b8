"""Weights go both ways between compiled networks and PyTorch by name, with no edit: the logits agree.

    python3 tests/pytorch/weights.py BUILD_DIR
"""
import os
import tempfile

from common import LOGITS, compile_example, has_logits, run

import torch
from safetensors.torch import load_file, save_file

from models import NETWORKS

TOLERANCE = 1e-4


def outputs_agree(name, model, so, weights, folder):
    _, _, batch, key, make_input, _ = NETWORKS[name]
    x = make_input(batch)
    given, got = os.path.join(folder, "in.safetensors"), os.path.join(folder, "out.safetensors")
    save_file({key: x}, given)
    run("dlrun", "predict", so, "--weights", weights, "--inputs", given, "-o", got)
    (out,) = load_file(got).values()
    model.eval()
    with torch.no_grad():
        want = model.logits(x) if has_logits(name) else model(x)
    error = (out.reshape(want.shape) - want).abs().max().item()
    assert want.std() > 1e-3, f"{name}: outputs that say nothing"
    assert error <= TOLERANCE, f"{name}: outputs differ by {error}"
    return error


def settle(name, model):
    """Running statistics as training leaves them."""
    model.train()
    with torch.no_grad():
        for _ in range(3):
            model(NETWORKS[name][4](16))


def check(name, folder):
    module = NETWORKS[name][0]
    torch.manual_seed(1)
    so, ours, theirs = (os.path.join(folder, f"{name}{s}") for s in (".so", "-ours.safetensors", "-theirs.safetensors"))
    compile_example(name, so, edit=LOGITS if has_logits(name) else None)
    run("dlrun", "init", so, "--seed", "3", "-o", ours)
    model = module()
    model.load_state_dict(load_file(ours))  # strict: every name must be there, and no other
    first = outputs_agree(name, model, so, ours, folder)
    model = module()
    settle(name, model)
    save_file(model.state_dict(), theirs)
    second = outputs_agree(name, model, so, theirs, folder)
    print(f"{name}: ours in PyTorch {first:.1e}, PyTorch's in ours {second:.1e}")


with tempfile.TemporaryDirectory() as folder:
    for name in NETWORKS:
        check(name, folder)
print(f"{len(NETWORKS)} passed, 0 failed")
