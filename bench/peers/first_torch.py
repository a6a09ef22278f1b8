"""PyTorch from the start of the process to a first prediction: CASE WEIGHTS."""
import os
import sys

import torch
from safetensors.torch import load_file

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from cases import CASES

name, weights = sys.argv[1:]
torch.set_num_threads(1)
model = CASES[name].module().eval()
model.load_state_dict(load_file(weights))
with torch.inference_mode():
    model(CASES[name].x(1))
