"""Weights go both ways between compiled networks and PyTorch by name, with no edit: the outputs agree.

    python3 tests/pytorch/weights.py BUILD_DIR
"""
import os
import subprocess
import sys
import tempfile

try:
    import torch
    from safetensors.torch import load_file, save_file
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(77)

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from models import NETWORKS

TOLERANCE = 1e-4
build = os.path.abspath(sys.argv[1])
examples = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples")


def run(tool, *args):
    subprocess.run([os.path.join(build, tool), *args], check=True, stdout=subprocess.DEVNULL)


def outputs_agree(name, model, so, weights, folder):
    _, _, batch, key, make_input, _ = NETWORKS[name]
    x = make_input(batch)
    given, got = os.path.join(folder, "in.safetensors"), os.path.join(folder, "out.safetensors")
    save_file({key: x}, given)
    run("dlrun", "predict", so, "--weights", weights, "--inputs", given, "-o", got)
    (out,) = load_file(got).values()
    model.eval()
    with torch.no_grad():
        want = model(x)
    error = (out.reshape(want.shape) - want).abs().max().item()
    assert error <= TOLERANCE, f"{name}: outputs differ by {error}"
    return error


def check(name, folder):
    module = NETWORKS[name][0]
    torch.manual_seed(1)
    so, ours, theirs = (os.path.join(folder, f"{name}{s}") for s in (".so", "-ours.safetensors", "-theirs.safetensors"))
    run("dlc", os.path.join(examples, name + ".net"), "-o", so)
    run("dlrun", "init", so, "--seed", "3", "-o", ours)
    model = module()
    model.load_state_dict(load_file(ours))  # strict: every name must be there, and no other
    first = outputs_agree(name, model, so, ours, folder)
    model = module()
    for p in model.buffers():
        if p.dtype.is_floating_point:
            p.uniform_(0.5, 1.5)
    save_file(model.state_dict(), theirs)
    second = outputs_agree(name, model, so, theirs, folder)
    print(f"{name}: ours in PyTorch {first:.1e}, PyTorch's in ours {second:.1e}")


with tempfile.TemporaryDirectory() as folder:
    for name in NETWORKS:
        check(name, folder)
print(f"{len(NETWORKS)} passed, 0 failed")
