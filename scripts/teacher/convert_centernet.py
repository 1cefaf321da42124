#!/usr/bin/python3
"""Converts the CenterNet of the npm package @vladmandic/human to ONNX for OpenCV 4.6.

    convert_centernet.py centernet.json centernet.onnx

Reads a TensorFlow.js graph model: a JSON file with nodes in NHWC, and the float16 weights it names.
Writes the network between its image [1,3,512,512] (RGB, 0 to 255) and its two heads, in NCHW:

    tower_0/keypoints [1,80,128,128]  probability that a box of this class has its centre here
    tower_0/wh        [1,4,128,128]   from the centre to the left, top, right, bottom, in pixels

What follows the heads (top-k, gather) is left to whoever decodes them: OpenCV cannot run it.
An operator that this network does not use is refused, not guessed at.

OpenCV 4.6 reads ONNX in its own way, so the result is not strict ONNX: Clip has its limits as
attributes, asymmetric padding is an explicit Pad, Resize has a coordinate mode.
"""

import base64
import json
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HEADS = ["tower_0/keypoints", "tower_0/wh"]
SPATIAL = [1, 2]  # the axes of height and width in NHWC


def read_weights(manifest, folder):
    """Every constant by name, as stored (NHWC), float16 widened to float32."""
    weights = {}
    for group in manifest:
        data = b"".join(open(os.path.join(folder, p), "rb").read() for p in group["paths"])
        offset = 0
        for entry in group["weights"]:
            half = entry.get("quantization", {}).get("dtype") == "float16"
            stored = np.dtype("<f2" if half else {"float32": "<f4", "int32": "<i4"}[entry["dtype"]])
            count = int(np.prod(entry["shape"], dtype=np.int64))
            values = np.frombuffer(data, stored, count, offset).reshape(entry["shape"])
            offset += count * stored.itemsize
            weights[entry["name"]] = values.astype("f4") if half else values
        if offset != len(data):
            raise SystemExit(f"{group['paths']}: {len(data)} bytes where {offset} are described")
    return weights


def attribute(node, name, default=None):
    value = node["attr"].get(name)
    if value is None:
        return default
    if "list" in value:
        strings = [base64.b64decode(s).decode() for s in value["list"].get("s", [])]
        return strings or [int(i) for i in value["list"].get("i", [])]
    return base64.b64decode(value["s"]).decode() if "s" in value else value.get("b", False)


def padding(node, size, kernel, stride):
    """TensorFlow's padding of one axis: (before, after). SAME puts the odd pixel after."""
    if attribute(node, "padding") == "VALID":
        return 0, 0
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class Converter:
    """Emits the nodes that an output needs, inputs first. A tensor keeps its TensorFlow name."""

    def __init__(self, nodes, weights):
        self.nodes = {node["name"]: node for node in nodes}
        self.weights = weights
        self.shapes = {}  # of every emitted tensor, NCHW
        self.out = []
        self.constants = {}

    def constant(self, name, values):
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    def add(self, op, inputs, output, shape, **attributes):
        self.out.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        self.shapes[output] = shape
        return output

    def operand(self, name):
        """An input that is a tensor, or a constant to broadcast over one."""
        if name not in self.weights:
            return self.emit(name)
        values = self.weights[name].astype("f4")
        return self.constant(name, values.reshape(1) if values.size == 1
                             else values.reshape(1, -1, 1, 1))

    def emit(self, name):
        if name in self.shapes:
            return name
        node = self.nodes[name]
        op, inputs = node["op"], [i.split(":")[0] for i in node.get("input", [])]
        if op == "Placeholder":
            n, h, w, c = (int(d["size"]) for d in node["attr"]["shape"]["shape"]["dim"])
            self.shapes[name] = [n, c, h, w]
        elif op in ("Conv2D", "_FusedConv2D", "DepthwiseConv2dNative", "FusedDepthwiseConv2dNative"):
            self.convolution(node, inputs)
        elif op in ("Add", "Mul", "Sub"):
            operands = [self.operand(i) for i in inputs]
            shapes = [self.shapes[o] for o in operands if o in self.shapes]
            self.add(op, operands, name, [max(sizes) for sizes in zip(*shapes)])
        elif op in ("Relu", "Sigmoid", "Identity"):
            x = self.emit(inputs[0])
            self.add(op, [x], name, self.shapes[x])
        elif op == "Relu6":
            x = self.emit(inputs[0])
            self.add("Clip", [x], name, self.shapes[x], min=0.0, max=6.0)
        elif op == "Mean" and sorted(self.weights[inputs[1]].tolist()) == SPATIAL:
            x = self.emit(inputs[0])
            self.add("GlobalAveragePool", [x], name, self.shapes[x][:2] + [1, 1])
        elif op == "ConcatV2" and int(self.weights[inputs[-1]]) in (-1, 3):
            parts = [self.emit(i) for i in inputs[:-1]]
            channels = sum(self.shapes[p][1] for p in parts)
            self.add("Concat", parts, name, [1, channels] + self.shapes[parts[0]][2:], axis=1)
        elif op == "ResizeBilinear":
            self.resize(node, inputs)
        else:
            raise SystemExit(f"{name}: cannot convert {op}")
        return name

    def convolution(self, node, inputs):
        name, x = node["name"], self.emit(inputs[0])
        kernel = self.weights[inputs[1]]  # [h, w, in, out]; depthwise: [h, w, channels, 1]
        kh, kw = kernel.shape[:2]
        groups = kernel.shape[2] if "Depthwise" in node["op"] else 1
        kernel = kernel.transpose(2, 3, 0, 1) if groups > 1 else kernel.transpose(3, 2, 0, 1)
        stride, (h, w) = attribute(node, "strides")[1], self.shapes[x][2:]
        (top, bottom), (left, right) = padding(node, h, kh, stride), padding(node, w, kw, stride)
        size = [(h + top + bottom - kh) // stride + 1, (w + left + right - kw) // stride + 1]
        if (top, left) != (bottom, right):
            pads = self.constant(name + "/pads", np.array([0, 0, top, left, 0, 0, bottom, right]))
            padded = self.shapes[x][:2] + [h + top + bottom, w + left + right]
            x = self.add("Pad", [x, pads], name + "/padded", padded, mode="constant")
            top = left = bottom = right = 0

        fused = attribute(node, "fused_ops", [])
        operands = [x, self.constant(name + "/kernel", kernel)]
        if "BiasAdd" in fused:
            operands.append(self.constant(name + "/bias", self.weights[inputs[2]].reshape(-1)))
        activations = [f for f in fused if f != "BiasAdd"]
        if activations not in ([], ["Relu"]):
            raise SystemExit(f"{name}: cannot convert the fused {activations}")
        linear = name + "/linear" if activations else name
        self.add("Conv", operands, linear, [1, kernel.shape[0]] + size, group=groups,
                 kernel_shape=[kh, kw], strides=[stride, stride], dilations=[1, 1],
                 pads=[top, left, bottom, right])
        if activations:
            self.add("Relu", [linear], name, self.shapes[linear])

    def resize(self, node, inputs):
        if attribute(node, "align_corners") or attribute(node, "half_pixel_centers"):
            raise SystemExit(f"{node['name']}: only the asymmetric resize is converted")
        name, x = node["name"], self.emit(inputs[0])
        size, shape = self.weights[inputs[1]].tolist(), self.shapes[x]
        region = self.constant(name + "/region", np.zeros(0, "f4"))
        scales = self.constant(
            name + "/scales", np.array([1, 1, size[0] / shape[2], size[1] / shape[3]], "f4"))
        self.add("Resize", [x, region, scales], name, shape[:2] + size, mode="linear",
                 coordinate_transformation_mode="asymmetric")


def main(source, target):
    with open(source) as file:
        model = json.load(file)
    weights = read_weights(model["weightsManifest"], os.path.dirname(source))
    converter = Converter(model["modelTopology"]["node"], weights)
    sys.setrecursionlimit(10000)
    for head in HEADS:
        converter.emit(head)

    def tensor(name):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, converter.shapes[name])

    graph = helper.make_graph(converter.out, "centernet", [tensor("tower_0/images")],
                              [tensor(head) for head in HEADS], list(converter.constants.values()))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=4),
              target)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
