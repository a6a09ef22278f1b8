"""ONNX Runtime from the start of the process to a first prediction: FOLDER."""
import os
import sys

import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession(os.path.join(sys.argv[1], "model.onnx"))
session.run(None, {session.get_inputs()[0].name: np.load(os.path.join(sys.argv[1], "infer.npz"))["x"]})
