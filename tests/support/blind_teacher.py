"""Writes a network with CenterNet's input and heads that finds nothing in any image.

    blind_teacher.py blind.onnx

Stands in for the weights that come from npm at set-up, where a test needs bf-teacher itself.
"""

import sys

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save

HEADS = {"tower_0/keypoints": 80, "tower_0/wh": 4}  # channels of a grid of 128x128

nodes = [helper.make_node("AveragePool", ["image"], ["cells"], kernel_shape=[4, 4], strides=[4, 4])]
weights = []
for head, channels in HEADS.items():
    zeros = np.zeros((channels, 3, 1, 1), np.float32)
    weights.append(numpy_helper.from_array(zeros, head + "/weights"))
    nodes.append(helper.make_node("Conv", ["cells", head + "/weights"], [head], kernel_shape=[1, 1]))
graph = helper.make_graph(
    nodes,
    "blind",
    [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 512, 512])],
    [helper.make_tensor_value_info(h, TensorProto.FLOAT, [1, c, 128, 128]) for h, c in HEADS.items()],
    weights,
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)])
checker.check_model(model)
save(model, sys.argv[1])
