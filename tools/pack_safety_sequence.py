"""Packs the pictures and labels of make_safety_sequence.py into what ships: NAME.mp4 and NAME.json.gz.

    python tools/pack_safety_sequence.py OUT src/ronghe/demo/data/safety

The pictures are softened as a lens would (Gaussian, 0.6 pixels) and get a little of a sensor's noise; H.264 leaves of it what it leaves.
Needs av, numpy and opencv.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import av
import cv2
import numpy as np

CRF, NOISE = "27", 2.0  # quality of H.264; levels of noise


def labels(folder: Path, name: str) -> dict[str, object]:
    """The label files of all parts as one."""
    parts = [json.loads(p.read_text()) for p in folder.glob(f"{name}*.json")]
    parts.sort(key=lambda p: p["frames"][0]["frame"])
    frames = [f for p in parts for f in p["frames"]]
    if [f["frame"] for f in frames] != list(range(len(frames))):
        raise SystemExit(f"{name}: frames are missing")
    return parts[0] | {"frames": frames}


def video(folder: Path, count: int, fps: int, out: Path) -> None:
    """The pictures as H.264."""
    noise = np.random.default_rng(0)
    with av.open(str(out), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": CRF, "preset": "veryslow", "g": "50"})
        stream.height, stream.width = cv2.imread(str(folder / "00000.png")).shape[:2]
        stream.pix_fmt = "yuv420p"
        for i in range(count):
            pixels = cv2.GaussianBlur(cv2.imread(str(folder / f"{i:05d}.png")), (0, 0), 0.6)
            pixels = np.clip(pixels + noise.normal(0, NOISE, pixels.shape[:2])[..., None], 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "bgr24")))
        container.mux(stream.encode())


def main() -> None:
    """Both sequences."""
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[3:] or ("tune", "test"):
        said = labels(source, name)
        frames = said["frames"]
        assert isinstance(frames, list)
        with open(target / f"{name}.json.gz", "wb") as f, gzip.GzipFile("", "wb", 9, f, mtime=0) as z:
            z.write(json.dumps(said, separators=(",", ":")).encode())
        video(source / name, len(frames), int(str(said["fps"])), target / f"{name}.mp4")
        print(name, len(frames), "pictures", (target / f"{name}.mp4").stat().st_size, "bytes")


if __name__ == "__main__":
    main()
