"""A first plant folder: small, commented, and running without hardware on a recording of its own."""

from __future__ import annotations

import math
import random
from importlib.resources import files
from pathlib import Path
from typing import Final

from ronghe.errors import RongheError
from ronghe.text import Text

_FILES: Final = ("plant.toml", "tags.csv", "dictionary.csv")
_SECONDS: Final = 1200
_CLOGGED: Final = (960, 1140)  # s; the suction strainer clogs, then is cleaned


def write(folder: Path) -> list[Path]:
    """Writes the folder; gives the files written. Raises RongheError when the folder holds anything already, or cannot be written."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RongheError(
            Text("is there already and is not empty; nothing was written", "已存在且非空；未写入任何内容"),
            where=str(folder),
            todo=Text("name a new folder", "请另取一个新文件夹名"),
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in _FILES:
            text = files("ronghe.plant.starter").joinpath(name).read_text(encoding="utf-8")
            # a spreadsheet knows by the mark that a file is UTF-8
            (folder / name).write_text(text, encoding="utf-8-sig" if name.endswith(".csv") else "utf-8")
        (folder / "recording.csv").write_text(recording(random.Random(1)), encoding="utf-8")  # noqa: S311 noise, no secret
    except OSError as e:
        raise RongheError(Text(f"cannot be written: {e.strerror}", f"无法写入：{e.strerror}"), where=str(folder)) from e
    return [folder / name for name in (*_FILES, "recording.csv")]


def recording(rng: random.Random) -> str:
    """Twenty minutes of a made-up pump, one row a second: 16 minutes as it should be, then its strainer clogs and is cleaned.

    Affinity laws about a working point: flow ∝ speed, head ∝ speed², power ∝ speed³; the bearing follows the power with a lag.
    """
    lines = ["time,speed,pressure,flow,bearing_temperature,power"]
    bearing, clogged = 48.0, 0.0
    for second in range(_SECONDS):
        clogged += ((0.35 if _CLOGGED[0] <= second < _CLOGGED[1] else 0.0) - clogged) / 20
        speed = 1420 + 30 * math.sin(second / 40) + rng.gauss(0, 1.5)
        n = speed / 1420
        flow = 62 * n * (1 - clogged) + rng.gauss(0, 0.25)
        pressure = 4.1 * n**2 * (1 - 0.3 * clogged) + rng.gauss(0, 0.015)
        power = 9.4 * n**3 * (1 - 0.4 * clogged) + rng.gauss(0, 0.03)
        bearing += (38 + 1.1 * power + 25 * clogged - bearing) / 30
        time = f"2026-01-05T08:{second // 60:02d}:{second % 60:02d}Z"
        lines.append(f"{time},{speed:.1f},{pressure:.3f},{flow:.2f},{bearing + rng.gauss(0, 0.05):.2f},{power:.3f}")
    return "\n".join(lines) + "\n"
