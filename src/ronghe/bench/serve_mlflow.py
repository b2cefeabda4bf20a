"""MLflow's scoring server as a peer: in an environment of its own, made on first use, because its dependencies are not ours."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

_NEEDS: Final = ("mlflow-skinny>=3.4,<4", "onnx>=1.17", "onnxruntime>=1.20", "fastapi>=0.115", "uvicorn>=0.30", "pandas>=2.2")
_SAVE: Final = """
import sys, mlflow.onnx, onnx
mlflow.onnx.save_model(onnx.load(sys.argv[1]), sys.argv[2], pip_requirements=[])
"""


def python() -> Path | None:
    """The interpreter that has MLflow; None where it cannot be installed."""
    name = hashlib.sha256("\n".join((sys.version, *_NEEDS)).encode()).hexdigest()[:12]
    place = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ronghe" / f"mlflow-{name}"
    place.parent.mkdir(parents=True, exist_ok=True)
    found = place / "bin" / "python"
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "ready").exists():
            for command in ([sys.executable, "-m", "venv", str(place)], [str(found), "-m", "pip", "install", "-q", *_NEEDS]):
                if subprocess.run(command, capture_output=True, check=False).returncode:
                    return None
            (place / "ready").touch()
    return found


def start(interpreter: Path, graph: Path, folder: Path, port: int, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Its scoring server, as `mlflow models serve --env-manager local` starts it, with one worker, for a graph."""
    subprocess.run([str(interpreter), "-c", _SAVE, str(graph), str(folder)], check=True, capture_output=True, env=environment)
    command = [str(interpreter), "-m", "uvicorn", "--host", "127.0.0.1", "--port", str(port), "--no-access-log"]
    return subprocess.Popen(
        [*command, "mlflow.pyfunc.scoring_server.app:app"],
        env={**environment, "__pyfunc_model_path__": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
