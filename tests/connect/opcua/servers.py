"""Real servers for the tests: node-opcua in its own process."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path
from typing import Any

from ronghe.bench import peers


class NodeServer:
    """bench/peers/opcua_server.js; keeps its port over stop and start."""

    def __init__(self, pki: Path, **config: Any) -> None:
        self.config = {"pki": str(pki), **config}
        self.port = 0
        self.process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"opc.tcp://127.0.0.1:{self.port}"

    def start(self) -> None:
        folder = peers.folder()
        command = [peers.node(), str(folder / "opcua_server.js"), json.dumps({**self.config, "port": self.port})]
        self.process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        said: list[str] = []
        threading.Thread(target=_drain, args=(self.process.stderr, said), daemon=True).start()
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            if line.startswith('{"port"'):
                self.port = json.loads(line)["port"]
                threading.Thread(target=_drain, args=(self.process.stdout, said), daemon=True).start()
                return
            said.append(line)
        self.stop()
        raise AssertionError("the server did not start: " + "".join(said)[-2000:])

    def stop(self) -> None:
        """As a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()


def _drain(pipe: Any, said: list[str]) -> None:
    try:
        said.extend(pipe)
    except ValueError:
        return  # closed
