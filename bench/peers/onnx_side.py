"""ONNX Runtime: FOLDER THREADS. Inference of what export.py wrote."""
import os
import sys

import numpy as np
import onnxruntime
from serve import serve


def main():
    folder, threads = sys.argv[1:]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = int(threads), 1
    session = onnxruntime.InferenceSession(os.path.join(folder, "model.onnx"), options)
    x = np.load(os.path.join(folder, "infer.npz"))["x"]
    feed = {session.get_inputs()[0].name: x}
    serve(lambda: session.run(None, feed))


main()
