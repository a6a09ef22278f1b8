"""Results as Markdown and as a figure, and where they go in docs/performance.md."""
import importlib
import importlib.metadata
import os
import platform

from sides import SIDES, installed

docs = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "docs")
PEERS = [s for s in SIDES if s not in ("dlc", "peak")]
BEGIN, END = "<!-- {}: written by bench/networks.py -->", "<!-- end of {} -->"


def processor():
    with open("/proc/cpuinfo") as f:
        return next((line.split(":")[1].strip() for line in f if line.startswith("model name")), platform.machine())


def machine(threads, rounds):
    names = {"torch": "PyTorch", "jax": "JAX", "onnxruntime": "ONNX Runtime"}
    versions = [f"{text} {importlib.metadata.version(m)}" for m, text in names.items() if installed(m)]
    many = f"{threads} thread" + "s" * (threads > 1)
    return f"{processor()}, {many}, medians of {rounds} rounds; " + ", ".join(versions)


def ms(x):
    return f"{x:.3g}" if x < 1000 else f"{x:.0f}"


def peer_cells(r):
    return [f"{ms(r['ms'][s])} ({r['ratio'][s]:.3g}x)" if s in r["ms"] else "" for s in PEERS]


def line(r):
    name = f"{r['case']}, {r['batch']}"
    share = f"{100 * r['share']:.0f} %" if r["gflop"] > 1e-3 else ""
    return "| " + " | ".join([name, f"{r['gflop']:.2g}", ms(r["ms"]["dlc"]), share, *peer_cells(r)]) + " |"


def time_table(rows):
    columns = ["network, batch", "GFLOP", "dlc ms", "of peak", *(SIDES[s][0] for s in PEERS)]
    head = "| " + " | ".join(columns) + " |\n|" + "---|" * len(columns)
    return "\n".join([head, *map(line, rows)])


def mib(x):
    return f"{x / 2**20:.0f}" if x > 10 * 2**20 else f"{x / 2**20:.1f}"


def memory_table(rows):
    columns = ["training, batch", "dlc MiB", *(SIDES[s][0] for s in PEERS if s != "onnx")]
    lines = ["| " + " | ".join(columns) + " |\n|" + "---|" * len(columns)]
    for r in rows:
        cells = [mib(r["memory"][s]) if s in r["memory"] else "" for s in ("dlc", *PEERS) if s != "onnx"]
        lines.append(f"| {r['case']}, {r['batch']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def whole_table(rows):
    lines = ["| network | dlc, seconds | `.so` KiB | inference only | first prediction, ms | PyTorch | ONNX Runtime |",
             "|---|---|---|---|---|---|---|"]
    for r in rows:
        first = [f"{1e3 * r['first'][s]:.3g}" if s in r["first"] else "" for s in ("dlc", "eager", "onnx")]
        lines.append(f"| {r['case']} | {r['compile']:.2g} | {r['bytes'] / 1024:.0f} | {r['infer_bytes'] / 1024:.0f} | "
                     + " | ".join(first) + " |")
    return "\n".join(lines)


def of(result, what):
    return [r for r in result["rows"] if r["what"] == what]


def tables(result):
    parts = [result["machine"] + "."]
    for what, title in (("train", "Training steps"), ("infer", "Inference")):
        if of(result, what):
            parts += [f"### {title}", time_table(of(result, what))]
    if of(result, "train"):
        parts += ["### Peak resident memory of the process", memory_table(of(result, "train"))]
    if result["whole"]:
        parts += ["### Compilation, size, start", whole_table(result["whole"])]
    return "\n\n".join(parts)


def put(text, name, new):
    begin, end = BEGIN.format(name), END.format(name)
    head, rest = text.split(begin)
    return head + begin + "\n" + new + "\n" + end + rest.split(end)[1]


def write(result):
    from figure import ratios

    path = os.path.join(docs, "performance.md")
    with open(path) as f:
        text = f.read()
    with open(path, "w") as f:
        f.write(put(text, "tables", tables(result)))
    with open(os.path.join(docs, "performance.svg"), "w") as f:
        f.write(ratios(of(result, "train"), {s: SIDES[s][0] for s in PEERS if s != "onnx"}))
