"""What the tests against PyTorch share: running the tools, and examples whose output is their logits.

Ends the test with status 77, which ctest calls skipped, where PyTorch is not installed.
"""
import os
import subprocess
import sys

here = os.path.dirname(os.path.abspath(__file__))
examples = os.path.join(here, "..", "..", "examples")
sys.path.insert(0, here)

try:
    import torch  # noqa: F401
    import safetensors.torch  # noqa: F401
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(77)

build = os.path.abspath(sys.argv[1])


def run(tool, *args):
    subprocess.run([os.path.join(build, tool), *map(str, args)], check=True, stdout=subprocess.DEVNULL)


def compile_example(name, out, *options, edit=None):
    """Compiles an example, after edits [(from, to)] of its text that must each fit once."""
    with open(os.path.join(examples, name + ".net")) as f:
        text = f.read()
    for old, new in edit or []:
        assert text.count(old) == 1, f"{name}.net: {old!r}"
        text = text.replace(old, new)
    source = os.path.splitext(out)[0] + ".net"
    with open(source, "w") as f:
        f.write(text)
    run("dlc", source, "-I", examples, "-o", out, *options)


def has_logits(name):
    with open(os.path.join(examples, name + ".net")) as f:
        return "softmax(logits)" in f.read()


LOGITS = [("softmax(logits)", "logits")]
