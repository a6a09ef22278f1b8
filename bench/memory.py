"""Time of a training step against --memory-budget.

    python3 bench/memory.py BUILD_DIR [--net resnet18] [--define NAME=VALUE ...] [--batch N] [--rounds N]
                            [--budgets 1 0.8 0.65 0.5 0.4 0.3]

Budgets are shares of the arena that the network takes without one. Prints a Markdown table. Times are the processor time of
one thread, the least of the rounds, in turn: that of an epoch, from trainings of one epoch and of three.
"""
import argparse
import json
import os
import random
import re
import struct
import subprocess
import tempfile

STEPS = 5  # of an epoch
here = os.path.dirname(os.path.abspath(__file__))


def write_data(path, batch, shape, classes):
    """Noise as a safetensors file: images of bytes, labels."""
    samples = batch * STEPS
    draw = random.Random(1)
    elements = samples * shape[0] * shape[1] * shape[2]
    image = draw.randbytes(elements)
    label = struct.pack(f"<{samples}q", *(draw.randrange(classes) for _ in range(samples)))
    header = json.dumps({
        "image": {"dtype": "U8", "shape": [samples, *shape], "data_offsets": [0, elements]},
        "label": {"dtype": "I64", "shape": [samples], "data_offsets": [elements, elements + len(label)]},
    }).encode()
    header += b" " * (-len(header) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(header)) + header + image + label)


class Model:
    def __init__(self, a, so, budget):
        self.a, self.so, self.times = a, so, []
        option = ["--memory-budget", str(budget)] if budget else []
        run(a, "dlc", net(a), "-o", so, *defines(a), *option)
        bench = json.loads(run(a, "dlrun", "bench", so, "--seconds", "0", "--json"))
        self.arena, self.batch = bench["arena_bytes_train"], bench["batch"]

    def processor_seconds(self, data, epochs):
        program = os.path.join(self.a.build, "dlrun")
        child = subprocess.Popen([program, "train", self.so, "--data", data, "--epochs", str(epochs), "--quiet"],
                                 stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        if status:
            raise SystemExit("training failed")
        return usage.ru_utime + usage.ru_stime

    def measure(self, data):
        once, thrice = (self.processor_seconds(data, epochs) for epochs in (1, 3))
        self.times.append(1e3 * (thrice - once) / (2 * STEPS))


def net(a):
    return os.path.join(here, "..", "examples", a.net + ".net")


def defines(a):
    more = [x for d in a.define for x in ("-D", d)]
    return more + (["--batch", str(a.batch)] if a.batch else [])


def run(a, program, *arguments):
    return subprocess.run([os.path.join(a.build, program), *arguments], check=True, capture_output=True, text=True).stdout


def arguments():
    p = argparse.ArgumentParser()
    p.add_argument("build")
    p.add_argument("--net", default="resnet18")
    p.add_argument("--define", nargs="*", default=[])
    p.add_argument("--batch", type=int)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--budgets", type=float, nargs="*", default=[1, 0.8, 0.65, 0.5, 0.4, 0.3])
    return p.parse_args()


def main():
    a = arguments()
    ir = run(a, "dlc", net(a), "--emit=ir", *defines(a))
    shape = [int(d) for d in re.search(r'name="image", shape=\[(\d+),(\d+),(\d+)\]', ir).groups()]
    classes = int(re.search(r"classes=(\d+)", ir).group(1))
    with tempfile.TemporaryDirectory() as folder:
        free = Model(a, os.path.join(folder, "free.so"), None)
        models = [(1, free)]
        for share in a.budgets:
            try:
                models += [(share, Model(a, os.path.join(folder, f"{share}.so"), int(share * free.arena)))] if share < 1 else []
            except subprocess.CalledProcessError as e:
                print("refused:", e.stderr.splitlines()[-1])
        data = os.path.join(folder, "data.safetensors")
        write_data(data, free.batch, shape, classes)
        for _ in range(a.rounds):
            for _, model in models:
                model.measure(data)
    print(f"{a.net} {' '.join(a.define)}, batch {free.batch}\n\n| budget | arena, MB | step, ms | time |\n|---|---|---|---|")
    for share, m in models:
        step = min(m.times)
        print(f"| {share:g} | {m.arena / 1e6:.1f} | {step:.0f} | {step / min(free.times):.2f}x |")


if __name__ == "__main__":
    main()
