"""PyTorch: CASE train|infer BATCH eager|compile THREADS."""
import os
import sys

import torch

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(here))
from cases import CASES
from serve import serve


def optimizer(parameters, o):
    settings = {k: v for k, v in o.items() if k != "kind"}
    return {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[o["kind"]](parameters, **settings)


def training(case, batch, wrap):
    model = case.module().train()
    x, y, opt = case.x(batch), case.y(batch), optimizer(model.parameters(), case.optimizer)
    loss = wrap(model.loss)

    def step():
        opt.zero_grad()
        loss(x, y).backward()
        opt.step()

    return step


def inference(case, batch, wrap):
    model, x = case.module().eval(), case.x(batch)
    forward = wrap(model)

    def infer():
        with torch.inference_mode():
            forward(x)

    return infer


def main():
    name, what, batch, mode, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    wrap = torch.compile if mode == "compile" else lambda f: f
    serve({"train": training, "infer": inference}[what](CASES[name], int(batch), wrap))


main()
