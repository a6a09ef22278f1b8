"""JAX: FOLDER train|infer THREADS. Runs what export.py wrote, jitted."""
import json
import os
import sys
from dataclasses import dataclass

folder, what, threads = sys.argv[1:]
if threads == "1":
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"

import jax
import jax.numpy as jnp
import numpy as np

from jax_ops import OPS, Run
from serve import serve

SILENT = {"_assert_tensor_metadata.default", "add_.Tensor"}  # checks, and the count of batches


@dataclass
class Buffer:
    """A running statistic: batch_norm must know which one it replaces."""

    name: str
    value: object


def value_of(a, values):
    if isinstance(a, dict) and "node" in a:
        return values[a["node"]]
    return [value_of(x, values) for x in a] if isinstance(a, list) else a


def evaluate(graph, tensors, run):
    values = {}
    for node, name in graph["places"].items():
        values[node] = Buffer(name, tensors[name]) if "running_" in name else tensors[name]
    for node, op, args, keywords in graph["calls"]:
        args = [value_of(a, values) for a in args]
        if op == "<built-in function getitem>":
            values[node] = args[0][args[1]]
        elif op.removeprefix("aten.") not in SILENT:
            values[node] = OPS[op.removeprefix("aten.")](run, *args, **keywords)
    return values[graph["result"]]


def updated(o, p, g, state, step):
    """PyTorch's SGD and Adam, for one tensor."""
    if o["kind"] == "sgd":
        g = g + o["weight_decay"] * p
        state = {"m": o["momentum"] * state["m"] + g} if o["momentum"] else state
        return p - o["lr"] * state.get("m", g), state
    m, v = 0.9 * state["m"] + 0.1 * g, 0.999 * state["v"] + 0.001 * g * g
    scale = o["lr"] / (1 - 0.9**step)
    return p - scale * m / (jnp.sqrt(v / (1 - 0.999**step)) + 1e-8), {"m": m, "v": v}


def first_state(o, p):
    names = "mv" if o["kind"] == "adam" else "m" * bool(o["momentum"])
    return {k: jnp.zeros_like(p) for k in names}


def training(graph, tensors):
    o, inputs = graph["optimizer"], {k: tensors.pop(k) for k in graph["inputs"]}
    weights = {k: tensors.pop(k) for k in graph["trained"]}
    states = {k: first_state(o, p) for k, p in weights.items()}

    def loss(weights, buffers, inputs, key):
        run = Run(key)
        return evaluate(graph, {**weights, **buffers, **inputs}, run), run.buffers

    def step(weights, states, buffers, inputs, number):
        key = jax.random.PRNGKey(number)
        (value, new), grads = jax.value_and_grad(loss, has_aux=True)(weights, buffers, inputs, key)
        pairs = {k: updated(o, weights[k], grads[k], states[k], number + 1.0) for k in weights}
        return {k: p[0] for k, p in pairs.items()}, {k: p[1] for k, p in pairs.items()}, {**buffers, **new}, value

    return stepper(jax.jit(step, donate_argnums=(0, 1, 2)), inputs, weights, states, tensors)


def stepper(step, inputs, *carried):
    number = 0

    def run():
        nonlocal carried, number
        *carried, value = step(*carried, inputs, number)
        number += 1
        value.block_until_ready()

    return run


def inference(graph, tensors):
    forward = jax.jit(lambda tensors: evaluate(graph, tensors, Run(jax.random.PRNGKey(0))))
    return lambda: forward(tensors).block_until_ready()


def main():
    with open(os.path.join(folder, what + ".json")) as f:
        graph = json.load(f)
    with np.load(os.path.join(folder, what + ".npz")) as f:
        tensors = {k: jnp.asarray(f[k]) for k in f}
    serve({"train": training, "infer": inference}[what](graph, tensors))


main()
