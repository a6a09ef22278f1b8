"""Writes a case for those that do not have PyTorch: CASE BATCH FOLDER.

FOLDER gets model.onnx, and for train and infer a traced graph (JSON: ATen calls by name) with its tensors (.npz).
"""
import json
import os
import sys

import numpy as np
import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from cases import CASES


class Loss(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x, y):
        return self.model.loss(x, y)


def plain(a):
    """An argument as JSON: a node is {"node": name}."""
    if isinstance(a, torch.fx.Node):
        return {"node": a.name}
    if isinstance(a, (list, tuple)):
        return [plain(x) for x in a]
    if isinstance(a, dict):
        return {k: plain(v) for k, v in a.items()}
    return str(a) if isinstance(a, (torch.dtype, torch.device, torch.layout)) else a


def graph_of(program, inputs):
    spec = {i.arg.name: i for i in program.graph_signature.input_specs}
    places, calls, result, given = {}, [], None, 0
    for node in program.graph.nodes:
        if node.op == "placeholder" and spec[node.name].target is None:
            places[node.name] = inputs[given]
            given += 1
        elif node.op == "placeholder":
            places[node.name] = spec[node.name].target
        elif node.op == "call_function":
            calls.append([node.name, str(node.target), plain(node.args), plain(node.kwargs)])
        elif node.op == "output":
            result = node.args[0][-1].name
    return {"places": places, "calls": calls, "result": result}


def write(module, values, names, path, **more):
    program = torch.export.export(module, values, strict=False)
    tensors = {k: v.detach().numpy() for k, v in {**program.state_dict, **program.constants}.items()}
    inputs = {name: v.numpy() for name, v in zip(names, values)}
    graph = graph_of(program, names) | {"trained": [k for k, _ in module.named_parameters()], "inputs": names} | more
    np.savez(path + ".npz", **tensors, **inputs)
    with open(path + ".json", "w") as f:
        json.dump(graph, f)


def main():
    name, batch, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    case = CASES[name]
    model, x, y = case.module(), case.x(batch), case.y(batch)
    model.eval()
    write(model, (x,), ["x"], os.path.join(folder, "infer"))
    torch.onnx.export(model, (x,), os.path.join(folder, "model.onnx"), dynamo=True, external_data=False)
    write(Loss(model.train()), (x, y), ["x", "y"], os.path.join(folder, "train"), optimizer=case.optimizer)


main()
