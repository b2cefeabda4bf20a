"""`ronghe bench idle`: what a node costs that has little to do: `ronghe up` of the starter's plant, five tags a second and one app.

Three nodes run side by side, as processes of their own: without a console, with one, and one that has joined a centre that is away (it
tries again and again, which costs more than a centre that is there). RSS counts pages that are shared with other processes in full;
`uss_mb` is what would be free if the node ended, `pss_mb` its fair share.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import msgspec

from ronghe.cloud.fleet.authority import Authority
from ronghe.edge.joining import Membership, request_of, write

_WARM: Final = 15.0  # s after the start that do not count


def run(*, full: bool = False) -> dict[str, Any]:
    """Over 60 s, or 20."""
    seconds = 60.0 if full else 20.0
    with tempfile.TemporaryDirectory(prefix="ronghe-idle-") as name:
        cases = {"node": ["--no-console"], "console": ["--port", "0"], "joined": ["--no-console"]}
        nodes = {case: _up(Path(name) / case, options, joined=case == "joined") for case, options in cases.items()}
        try:
            time.sleep(_WARM)
            before = {case: _cpu(node.pid) for case, node in nodes.items()}
            time.sleep(seconds)
            found = {
                case: {"cpu_percent": round((_cpu(node.pid) - before[case]) / seconds * 100, 2), **_memory(node.pid)}
                for case, node in nodes.items()
            }
        finally:
            for node in nodes.values():
                node.terminate()
            for node in nodes.values():
                node.wait(30)
    return {
        "bench": "idle",
        **found,
        "seconds": seconds,
        "protocol": "ronghe up on the starter's folder, in real time: 5 tags and 1 app at 1 Hz; CPU as a share of one core",
        "load_average": round(os.getloadavg()[0], 1),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def _up(folder: Path, options: list[str], *, joined: bool) -> subprocess.Popen[bytes]:
    ronghe = [sys.executable, "-m", "ronghe"]
    subprocess.run([*ronghe, "new", str(folder)], check=True, stdout=subprocess.DEVNULL)
    plant, tags = folder / "plant.toml", folder / "tags.csv"
    text = re.sub(r"(?m)^speed = .*", "speed = 1", plant.read_text(encoding="utf-8"))
    plant.write_text(re.sub(r'(?m)^every = "100ms"', 'every = "1s"', text), encoding="utf-8")
    tags.write_text(tags.read_text(encoding="utf-8").replace(",100ms,", ",1s,"), encoding="utf-8")
    if joined:
        join(folder / ".ronghe" / "centre", "tls://127.0.0.1:1", "enterprise/site/area")
    return subprocess.Popen([*ronghe, "up", str(folder), *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def join(home: Path, hub: str, plant: str) -> None:
    """What `ronghe join` leaves behind, of an authority that nobody else knows."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    home.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as name:
        authority = Authority.create(Path(name) / "ca", time.time_ns)
        key = ec.generate_private_key(ec.SECP256R1())
        write(home / "key.pem", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), secret=True)
        write(home / "node.pem", authority.issue(request_of(key, "edge1"), "edge1").pem.encode())
        write(home / "ca.pem", authority.certificate.read_bytes())
    write(home / "centre.json", msgspec.json.encode(Membership(url="https://127.0.0.1:1", hub=hub, node="edge1", plant=plant)))


def _cpu(pid: int) -> float:
    """s of user and system time so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int) -> dict[str, float]:
    told = dict(re.findall(r"(?m)^(\w+):\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text()))
    mb = {key: int(kb) / 1024 for key, kb in told.items()}
    return {
        "rss_mb": round(mb["Rss"], 1),
        "uss_mb": round(mb["Private_Clean"] + mb["Private_Dirty"], 1),
        "pss_mb": round(mb["Pss"], 1),
    }
