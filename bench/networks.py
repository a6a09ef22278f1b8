"""Every example network, compiled by dlc, beside PyTorch, torch.compile, JAX and ONNX Runtime: time, memory, size.

    python3 bench/networks.py BUILD [--rounds N] [--seconds S] [--threads T] [--sides dlc,eager] [--write] [case ...]

The sides of a row are processes of their own that run in turn, round after round; a figure is the median over the
rounds of medians, a ratio the median of each round's. What is not installed is left out. --write puts tables and figure
into docs/performance.md; --json FILE keeps the figures.
"""
import argparse
import json
import os
import statistics
import tempfile

import report
from sides import SIDES, Side, Workshop, present
from whole import whole_process


def measure(running, rounds, seconds):
    """{side: [milliseconds, one a round]}; the order turns with the rounds."""
    times, names = {s: [] for s in running}, list(running)
    for r in range(rounds):
        for s in names[r % len(names):] + names[: r % len(names)]:
            times[s].append(running[s].sample(seconds))
    return times


def start(shop, name, case, what, batch, wanted):
    running = {}
    for s in wanted:
        _, _, does, command = SIDES[s]
        if what not in does:
            continue
        try:
            running[s] = Side(command(shop, name, case, what, batch), shop.threads)
        except RuntimeError as e:
            print(f"{name} {what} {batch}: without {s}: {e}", flush=True)
    return running


def row(shop, name, case, what, batch, a):
    running = start(shop, name, case, what, batch, a.sides)
    times = measure(running, a.rounds, a.seconds)
    memory = {s: side.peak_bytes() for s, side in running.items() if s != "peak"}
    flops = {s: running[s].flops for s in ("dlc", "peak")}
    for side in running.values():
        side.stop()
    medians = {s: statistics.median(t) for s, t in times.items()}
    ratios = {s: statistics.median(p / d for p, d in zip(t, times["dlc"])) for s, t in times.items()}
    result = {"case": name, "what": what, "batch": batch, "ms": medians, "ratio": ratios, "memory": memory}
    result["gflop"] = flops["dlc"] / 1e9
    result["share"] = statistics.median(
        flops["dlc"] / d / (flops["peak"] / p) for d, p in zip(times["dlc"], times["peak"]))
    print(report.line(result), flush=True)
    return result


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build")
    p.add_argument("cases", nargs="*")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=float, default=0.3, help="of each side, a round")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--sides", type=lambda s: s.split(","), default=list(SIDES), help="of: " + ", ".join(SIDES))
    p.add_argument("--what", type=lambda s: s.split(","), default=["train", "infer"])
    p.add_argument("--json")
    p.add_argument("--write", action="store_true")
    a = p.parse_args()
    a.build, a.sides = os.path.abspath(a.build), present([s for s in SIDES if s in (*a.sides, "dlc", "peak")])
    return a


def rows_of(cases, what):
    for name, case in cases.items():
        if "train" in what:
            yield name, case, "train", case.batch
        if "infer" in what:
            yield from ((name, case, "infer", b) for b in case.infer)


def main():
    a = arguments()
    from cases import CASES

    cases = {n: c for n, c in CASES.items() if not a.cases or n in a.cases}
    if a.threads == 1:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        shop = Workshop(folder, a.build, a.threads)
        result = {"machine": report.machine(a.threads, a.rounds), "rows": [], "whole": []}
        result["rows"] = [row(shop, *r, a) for r in rows_of(cases, a.what)]
        if not a.cases or "mnist_cnn" in a.cases:
            result["whole"] = whole_process(shop, CASES)
    if a.json:
        with open(a.json, "w") as f:
            json.dump(result, f, indent=1)
    text = report.tables(result)
    print(text)
    if a.write:
        report.write(result)


main()
