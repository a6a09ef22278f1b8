"""What a user waits for and stores: compilation, files, and from the start of a process to its first prediction."""
import os
import statistics
import subprocess
import sys
import time

from sides import environment, installed, peers

CASES = ("mnist_cnn", "resnet18", "densenet121", "resnet18_224")
TIMES = 9


def seconds_of(command, times):
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        subprocess.run(command, check=True, cwd=peers, env=environment(1), capture_output=True)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def first_predictions(shop, name, case):
    """{side: seconds}"""
    weights = os.path.join(shop.folder, "weights.safetensors")
    so = shop.artifact(case, "infer", 1)
    subprocess.run([os.path.join(shop.build, "dlrun"), "init", so, "-o", weights], check=True, capture_output=True)
    commands = {"dlc": [shop.server, so, "dlc_v1_" + case.example, "first", "1", "1", weights]}
    if installed("torch") and installed("safetensors"):
        commands["eager"] = [sys.executable, "first_torch.py", name, weights]
    if installed("onnxruntime"):
        commands["onnx"] = [sys.executable, "first_onnx.py", shop.exported(name, 1)]
    return {s: seconds_of(c, TIMES if s == "dlc" else 3) for s, c in commands.items()}


def whole_process(shop, cases):
    rows = []
    for name in CASES:
        case, path = cases[name], os.path.join(shop.folder, "whole.so")
        start = time.perf_counter()
        shop.compile(case, path, case.batch, [])
        rows.append({"case": name, "compile": time.perf_counter() - start, "bytes": os.path.getsize(path),
                     "infer_bytes": os.path.getsize(shop.artifact(case, "infer", 1)),
                     "first": first_predictions(shop, name, case)})
    return rows
