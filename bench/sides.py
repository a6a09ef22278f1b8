"""The sides of a comparison, each a process of its own that takes seconds and gives milliseconds (peers/serve.py)."""
import importlib.util
import os
import subprocess
import sys

here = os.path.dirname(os.path.abspath(__file__))
peers = os.path.join(here, "peers")


def installed(module):
    return importlib.util.find_spec(module) is not None


def environment(threads):
    return {**os.environ, "OMP_NUM_THREADS": str(threads), "JAX_PLATFORMS": "cpu", "PYTHONWARNINGS": "ignore"}


class Side:
    """A running process, warmed up."""

    def __init__(self, command, threads):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        stderr=subprocess.DEVNULL, env=environment(threads), cwd=peers)
        self.flops = float((self.line_with("ready").split() + ["nan"])[1])

    def line_with(self, start=""):
        for line in self.process.stdout:
            if line.startswith(start):
                return line.strip()
        raise RuntimeError("the process ended: " + " ".join(self.process.args))

    def sample(self, seconds):
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        return float(self.line_with())

    def peak_bytes(self):
        with open(f"/proc/{self.process.pid}/status") as f:
            return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM"))

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


class Workshop:
    """Where artifacts are made, once each: folder, the build of dlc, threads."""

    def __init__(self, folder, build, threads):
        self.folder, self.build, self.threads = folder, build, threads
        self.server, self.peak = self.program("dlc_side"), self.program("peak", "-march=native")

    def program(self, name, *flags):
        out, source = os.path.join(self.folder, name), os.path.join(peers, name + ".c")
        include = os.path.join(here, "..")
        subprocess.run(["cc", "-O2", "-I", include, *flags, source, "-o", out, "-ldl"], check=True)
        return out

    def artifact(self, case, what, batch):
        """The compiled network: for training or for inference only."""
        path = os.path.join(self.folder, f"{case.example}-{what}-{batch}-{len(case.options)}.so")
        if not os.path.exists(path):
            self.compile(case, path, batch, [] if what == "train" else ["--inference-only"])
        return path

    def compile(self, case, path, batch, flags):
        defines = [f"-D{k}={v}" for k, v in case.options.items()]
        net = os.path.join(here, "..", "examples", case.example + ".net")
        dlc = os.path.join(self.build, "dlc")
        subprocess.run([dlc, net, "-o", path, "--batch", str(batch), *defines, *flags], check=True)

    def exported(self, name, batch):
        """The traced graphs and ONNX file, or None where that fails."""
        path = os.path.join(self.folder, f"{name}-{batch}")
        if not os.path.exists(path):
            os.mkdir(path)
            command = [sys.executable, os.path.join(peers, "export.py"), name, str(batch), path]
            subprocess.run(command, env=environment(self.threads), capture_output=True)
        return path


def command_dlc(shop, name, case, what, batch):
    so = shop.artifact(case, what, batch)
    return [shop.server, so, "dlc_v1_" + case.example, what, str(batch), str(shop.threads)]


def command_peak(shop, name, case, what, batch):
    return [shop.peak]


def command_torch(mode):
    def command(shop, name, case, what, batch):
        return [sys.executable, "torch_side.py", name, what, str(batch), mode, str(shop.threads)]

    return command


def command_jax(shop, name, case, what, batch):
    return [sys.executable, "jax_side.py", shop.exported(name, batch), what, str(shop.threads)]


def command_onnx(shop, name, case, what, batch):
    return [sys.executable, "onnx_side.py", shop.exported(name, batch), str(shop.threads)]


# name: (column, module that must be there, what it does, its command)
SIDES = {
    "dlc": ("dlc", None, ("train", "infer"), command_dlc),
    "eager": ("PyTorch", "torch", ("train", "infer"), command_torch("eager")),
    "compile": ("torch.compile", "torch", ("train", "infer"), command_torch("compile")),
    "jax": ("JAX", "jax", ("train", "infer"), command_jax),
    "peak": ("peak", None, ("train", "infer"), command_peak),
    "onnx": ("ONNX Runtime", "onnxruntime", ("infer",), command_onnx),
}


def present(wanted):
    return [s for s in wanted if SIDES[s][1] is None or installed(SIDES[s][1])]
