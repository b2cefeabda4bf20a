"""Modbus servers that are not ours, as processes the tests start, stop and talk to: libmodbus (C) and modbus-serial (Node.js)."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from ronghe.bench import peers

_HERE = Path(__file__).parent
_SOURCE = _HERE / "libmodbus_server.c"


def compiled() -> str:
    """The libmodbus server, compiled once a run; installs the header where it is missing (Debian)."""
    target = Path(tempfile.gettempdir()) / f"ronghe-libmodbus-{os.getpid()}" / "server"
    if not target.exists():
        target.parent.mkdir(exist_ok=True)
        if shutil.which("gcc") is None or not any(Path(p, "modbus", "modbus.h").exists() for p in ("/usr/include", "/usr/local/include")):
            subprocess.run(["apt-get", "update", "-qq"], check=True)
            subprocess.run(["apt-get", "install", "-y", "-qq", "gcc", "libc6-dev", "libmodbus-dev"], check=True)
        subprocess.run(["gcc", "-O1", "-Wall", "-Werror", "-o", target, _SOURCE, "-lmodbus"], check=True)
    return str(target)


class Server:
    """A server process with one command a line on its standard input: set, get, requests."""

    def __init__(self, *command: str) -> None:
        self._command = command
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    def start(self) -> None:
        assert self._process is None
        arguments = [a.format(port=self.port) for a in self._command]
        self._process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        word, port = self._line().split()
        assert word == "ready"
        self.port = int(port)

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    def freeze(self) -> None:
        """The process stands still: connections stay open and nothing is answered."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def set(self, table: str, start: int, *values: int) -> None:
        assert self._ask(f"set {table} {start} {' '.join(map(str, values))}") == "ok"

    def get(self, table: str, start: int, count: int = 1) -> list[int]:
        return [int(v) for v in self._ask(f"get {table} {start} {count}").split()]

    def requests(self) -> int:
        """How many requests arrived since this was asked last."""
        return int(self._ask("requests"))

    def _ask(self, line: str) -> str:
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._line()

    def _line(self) -> str:
        line = self._process.stdout.readline()
        assert line, f"{self._command[0]} ended with {self._process.wait()}"
        return line.strip()


def libmodbus() -> Server:
    """libmodbus over TCP."""
    return Server(compiled(), "tcp", "{port}")


def modbus_serial() -> Server:
    """modbus-serial over TCP."""
    return Server(peers.node(), str(peers.folder() / "modbus_server.js"), "{port}")


class SerialLine:
    """A serial cable: two pseudo terminals joined by socat. `near` is for the driver, `far` for the server."""

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="ronghe-tty-")
        self.near, self.far = f"{self._folder}/near", f"{self._folder}/far"
        if shutil.which("socat") is None:
            subprocess.run(["apt-get", "install", "-y", "-qq", "socat"], check=True)
        self.plug_in()

    def plug_in(self) -> None:
        ends = [f"pty,raw,echo=0,link={path}" for path in (self.near, self.far)]
        self._process = subprocess.Popen(["socat", *ends])
        while not (os.path.exists(self.near) and os.path.exists(self.far)):
            assert self._process.poll() is None

    def pull_out(self) -> None:
        """Both ports are gone, as when a USB adapter is pulled out."""
        self._process.kill()
        self._process.wait()
        for path in (self.near, self.far):
            os.unlink(path)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder)


def libmodbus_rtu(line: SerialLine, unit: int = 1) -> Server:
    """libmodbus in RTU on the far end of a serial line."""
    return Server(compiled(), "rtu", line.far, "115200", "N", str(unit))
