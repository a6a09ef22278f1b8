"""Random networks of netgen in PyTorch: every output, loss, metric, gradient and new statistic in f64.

    python3 tests/pytorch/netgen.py BUILD_DIR [CC] [FIRST_SEED] [COUNT]

A number may differ by 1e-9 of its tensor's largest, or by what rounding every value of the interpreter's run changes.
A network is left out where PyTorch has no peer of a row or draws other numbers; in training, that is with every mask.
"""
import collections
import math
import os
import re
import subprocess
import sys
import tempfile
import time
import warnings

from common import build, here

import torch
from safetensors.torch import load_file

from ops import EACH, WHOLE, WITHOUT, NoPeer

TOLERANCE = 1e-9
NOTHING = 1e-13  # of a tensor that is all 0 here, and a sum of what PyTorch rounds there
ROUNDING_ROOM = 16  # ir/interp.h
COUNT = 300
SAMPLES = 3  # tests/fuzz/netgen/export.c
ROW = re.compile(r'^(?:LEAF|ELEMENTWISE|PRIMITIVE|COMPOSITE|FORMULA|LAYER)\((\w+), \w+, "((?:[^"\\]|\\.)*)"', re.M)
NODE = re.compile(r"  %(\d+) = (\w+)(?:\((.*?)\))?(?: \{(.*)\})? : \w+(?:\[(.*?)\])?(?: |$)")
RESULT = re.compile(r"  (output|loss|metric) (\w+) = %(\d+)")
ATTRIBUTE = re.compile(r'(\w+)=("[^"]*"|\[[^]]*\]|\w+\([^)]*\)|[^,]+)')


class Node:
    """A line of the graph's text: op, operand, per_sample, type (the sample's shape), and the op's attributes."""


# ---- reading ----

def value(text):
    if text.startswith("["):
        return [int(x) for x in text[1:-1].split(",") if x]
    if text.startswith('"'):
        return text[1:-1]
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return {"true": True, "false": False}.get(text, text)


def read_rows():
    """The attributes of each row of the op table: (name, type, default)."""
    with open(os.path.join(here, "..", "..", "ir", "ops.def")) as f:
        found = ROW.findall(f.read())
    rows = {}
    for name, signature in found:
        part = signature.replace('\\"', '"').partition(";")[2]
        rows[name] = re.findall(r"(\w+):(\w+(?:\([^)]*\))?)(?:=([^,]+))?", part)
    return rows


ROWS = read_rows()


def defaults(op):
    for name, kind, default in ROWS[op]:
        if default:
            x = value(default)
            yield name, [x, x] if kind in ("pair", "pads") and isinstance(x, int) else x


def read_graph(path):
    nodes, results = [], []
    with open(path) as f:
        for line in f:
            if m := NODE.match(line):
                n = Node()
                n.op, names, given, dims = m.group(2, 3, 4, 5)
                n.operand = [None if x == "_" else nodes[int(x[1:])] for x in names.split(", ")] if names else []
                dims = dims.split(",") if dims else []
                batched = dims[:1] == ["*"]
                attributes = {**dict(defaults(n.op)), **{k: value(v) for k, v in ATTRIBUTE.findall(given or "")}}
                for k, v in attributes.items():
                    setattr(n, k, attributes.get(v, v) if isinstance(v, str) and k != v else v)
                n.per_sample, n.type = batched, [int(d) for d in dims[batched:]]
                assert int(m.group(1)) == len(nodes)
                nodes.append(n)
            elif m := RESULT.match(line):
                results.append((m.group(1), m.group(2), nodes[int(m.group(3))]))
    assert nodes and results, path
    return nodes, results


# ---- evaluation ----

def each_sample(f, operands, node):
    n = max([t.shape[0] for t in operands if t is not None], default=1)
    sample = lambda t, i: None if t is None else t[i if t.shape[0] > 1 else 0]
    return torch.stack([f(*(sample(t, i) for t in operands), node) for i in range(n)])


def leaf(node, data):
    """What this mode does not use may be anything."""
    size = [data.n if node.per_sample else 1] + node.type
    x = data.tensors.get(f"{data.mode}.leaf.{node.name}")
    return torch.zeros(size) if x is None else x.reshape(size)


def gradient(s, t):
    """The samples' gradients, of s summed over them."""
    d, = torch.autograd.grad(s.sum(), t, create_graph=True, allow_unused=True)
    return torch.zeros_like(t) if d is None else d


def apply(node, data):
    operands = [None if x is None else data.value[x] for x in node.operand]
    node.n, node.training, node.assigned = data.n, data.mode == "train", data.assigned
    if node.op in ("input", "target", "param", "buffer"):
        return leaf(node, data)
    if node.op == "constant":
        return torch.full([1] + node.type, float(node.value))
    if node.op == "grad":
        return gradient(*operands)
    if node.op in WITHOUT:
        raise NoPeer(WITHOUT[node.op])
    try:
        return WHOLE[node.op](*operands, node) if node.op in WHOLE else each_sample(EACH[node.op], operands, node)
    except RuntimeError as e:
        if "half of kernel size" not in str(e):  # dlc takes half of what the kernel covers with its dilation
            raise
        raise NoPeer("padding that PyTorch refuses") from e


def compute(node, data):
    """A tensor of its own, for gradients by it."""
    y = apply(node, data).clone()
    return y if y.requires_grad else y.requires_grad_(True)


class Data:
    """A network's numbers in one mode, and what PyTorch makes of them."""
    def __init__(self, nodes, tensors, mode):
        self.tensors, self.mode, self.n, self.value, self.assigned = tensors, mode, SAMPLES, {}, {}
        for node in nodes:
            y = self.value[node] = compute(node, self)
            assert list(y.shape) == [self.n if node.per_sample else 1] + node.type, (node.op, y.shape, node.type)

    def results(self, nodes, results):
        loss = [self.value[node].mean() for kind, _, node in results if kind == "loss"]
        for kind, name, node in results:
            y = self.value[node]
            yield f"{kind}.{name}", y if kind == "output" else y.mean() if kind == "loss" else y.mean() * self.n
        for node in nodes:
            if loss and node.op in ("input", "param") and getattr(node, "elem", "f32") == "f32":
                yield f"grad.{node.name}", gradient(loss[0], self.value[node])
        for name, y in self.assigned.items():
            yield f"assign.{name}", y


# ---- comparing ----

def compare(name, got, tensors, mode, count):
    want, spread = (tensors[f"{mode}.{s}{name}"] for s in ("", "spread."))
    got = got.detach().flatten()
    assert got.shape == want.shape, f"{mode}.{name}: {list(got.shape)}, not {list(want.shape)}"
    finite = want[want.isfinite()]
    largest = finite.abs().max() if len(finite) else 0
    error = (got - want).abs()
    same = (got == want) | (got.isnan() & want.isnan()) | (error <= max(TOLERANCE * largest, NOTHING))
    excused = ~same & ((error <= ROUNDING_ROOM * spread) | spread.isinf())
    count["numbers"] += len(want)
    count["excused"] += int(excused.sum())
    wrong = (~same & ~excused).nonzero().flatten().tolist()
    return [f"{mode}.{name}[{i}]: PyTorch {got[i]:.17g}, interpreted {want[i]:.17g} (largest {largest:g})"
            for i in wrong[:1]]


def check(stem, count, rows):
    nodes, results = read_graph(stem + ".ir")
    tensors = load_file(stem + ".safetensors")
    wrong, compared = [], False
    for mode in ("eval", "train"):
        if mode == "train" and not any(kind == "loss" for kind, _, _ in results):
            continue
        try:
            data = Data(nodes, tensors, mode)
        except NoPeer as e:
            count[f"{mode}, without {e}"] += 1
            continue
        got = dict(data.results(nodes, results))
        expected = {k[len(mode) + 8:] for k in tensors if k.startswith(f"{mode}.spread.")}
        assert set(got) == expected, f"{mode}: {set(got) ^ expected}"
        for name, y in got.items():
            wrong += compare(name, y, tensors, mode, count)
        rows.update(node.op for node in nodes)
        compared = True
        count[mode] += 1
    count["networks"] += compared
    return wrong


def main(first, number):
    count, rows, failed = collections.Counter(), set(), 0
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", "Using padding='same'")
    peers = set(EACH) | set(WHOLE)
    assert not peers & set(WITHOUT) and peers | set(WITHOUT) == set(ROWS), peers.union(WITHOUT) ^ set(ROWS)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([os.path.join(build, "tests/fuzz/netgen/netgen"), "--export", folder, "--seed", str(first),
                        "--count", str(number)], check=True)
        for seed in range(first, first + number):
            try:
                wrong = check(os.path.join(folder, str(seed)), count, rows)
            except Exception as e:  # of PyTorch's, or of the table
                wrong = [f"{type(e).__name__}: {e}"]
                count["networks"] += 1
            for line in wrong:
                print(f"seed {seed}: {line}", flush=True)
            failed += bool(wrong)
    print(f"{count['networks']} of {number} networks from seed {first} compared ({count['eval']} in evaluation, "
          f"{count['train']} in training), {count['numbers']} numbers, {count['excused']} excused by conditioning")
    print("left out: " + ", ".join(f"{k} {v}" for k, v in count.most_common() if "without" in k))
    print(f"{len(rows & peers)} of {len(peers)} rows with a peer, {len(WITHOUT)} have none; "
          f"not drawn: {' '.join(sorted(peers - rows)) or 'none'}")
    print(f"{count['networks'] - failed} passed, {failed} failed")
    return failed or not count["networks"]


seed = int(sys.argv[3]) if len(sys.argv) > 3 else int(time.time() / 3600) * 10000  # moves every hour
sys.exit(main(seed, int(sys.argv[4]) if len(sys.argv) > 4 else COUNT))
