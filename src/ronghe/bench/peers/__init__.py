"""Independent implementations (node-opcua, modbus-serial) that benchmarks and tests run against, installed from npm on first use."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from ronghe.errors import RongheError
from ronghe.text import Text

_HERE = Path(__file__).parent


def node() -> str:
    """The `node` command. Raises RongheError when Node.js is not installed."""
    found = shutil.which("node")
    if found is None or shutil.which("npm") is None:
        raise RongheError(
            Text("this compares against Node.js programs, and node or npm is missing", "需要与 Node.js 程序对比，但缺少 node 或 npm"),
            todo=Text("install Node.js 20 or newer (Debian: apt-get install nodejs npm)", "请安装 Node.js 20 或更新版本"),
        )
    return found


def folder() -> Path:
    """A folder with our peer scripts (*.js) beside an installed `node_modules`; made once per package-lock.json, by one process."""
    node()
    lock = (_HERE / "package-lock.json").read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    place = cache / "ronghe" / f"peers-{hashlib.sha256(lock).hexdigest()[:12]}"
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock_file:
        fcntl.flock(lock_file, fcntl.LOCK_EX)
        if not (place / "ready").exists():
            for name in ("package.json", "package-lock.json"):
                shutil.copy(_HERE / name, place / name)
            done = subprocess.run(
                ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=place, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise RongheError(
                    Text(f"npm could not install the peers: {done.stderr[-400:]}", f"npm 安装对比程序失败：{done.stderr[-400:]}"),
                    where=str(place),
                    todo=Text("check the network and try again", "请检查网络后重试"),
                )
            (place / "ready").touch()
        for script in _HERE.glob("*.js"):
            target = place / script.name
            if not target.exists() or target.read_bytes() != script.read_bytes():
                shutil.copy(script, target)
    return place
