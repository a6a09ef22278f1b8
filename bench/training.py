"""Training steps of the example networks against PyTorch on the same machine, one thread, in turn; medians.

    python3 bench/training.py BUILD_DIR [--rounds N] [name ...]

Prints a Markdown table. The ratio is PyTorch's time over the compiled network's.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import torch

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "tests", "pytorch"))
from models import NETWORKS

SECONDS = 0.5  # of PyTorch a round


def ours(build, so):
    text = subprocess.run([os.path.join(build, "dlrun"), "bench", so, "--json"], check=True, capture_output=True).stdout
    return json.loads(text)["train_step_ms"]


def theirs(name):
    module, optimizer, batch, _, make_input, make_target = NETWORKS[name]
    model = module().train()
    opt = optimizer(model.parameters())
    x, y = make_input(batch), make_target(batch)
    times, stop = [], time.perf_counter() + SECONDS
    while time.perf_counter() < stop or len(times) < 5:
        start = time.perf_counter()
        opt.zero_grad()
        model.loss(x, y).backward()
        opt.step()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("build")
    p.add_argument("names", nargs="*")
    p.add_argument("--rounds", type=int, default=5)
    a = p.parse_args()
    torch.set_num_threads(1)
    print(f"PyTorch {torch.__version__}, one thread, {a.rounds} rounds in turn, medians\n")
    print("| network | batch | dlc ms | PyTorch ms | ratio |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in a.names or NETWORKS:
            so = os.path.join(folder, name + ".so")
            net = os.path.join(here, "..", "examples", name + ".net")
            subprocess.run([os.path.join(a.build, "dlc"), net, "-o", so], check=True)
            pairs = [(ours(a.build, so), theirs(name)) for _ in range(a.rounds)]
            dlc, torch_ms = (statistics.median(x) for x in zip(*pairs))
            ratio = statistics.median(t / d for d, t in pairs)
            print(f"| {name} | {NETWORKS[name][2]} | {dlc:.4g} | {torch_ms:.4g} | {ratio:.1f} |", flush=True)


main()
