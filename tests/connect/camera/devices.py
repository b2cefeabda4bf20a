"""Cameras that are not ours, as processes that can be stopped and started again."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path
from typing import ClassVar

from contract import Bench

from ronghe.connect.camera import Camera

HERE = Path(__file__).parent


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class Device(Bench):
    """A camera in a process of its own."""

    driver = Camera
    moving: ClassVar[list[str]] = ["picture", "light"]
    unknown = "depth"
    fixed = True
    malformed = "line 1/picture"
    command: list[str]
    port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self.process.poll() is None, f"{self.command[0]} ended with {self.process.returncode}"
                time.sleep(0.05)
        raise AssertionError(f"{self.command[0]} never listened")

    def stop(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()


class Rtsp(Device):
    """GStreamer's RTSP server, with 25 live pictures a second."""

    def __init__(self, coder: str = "jpeg", login: str = "") -> None:
        self.port = free_port()
        self.command = ["/usr/bin/python3", str(HERE / "rtsp_server.py"), str(self.port), coder, login]
        self.options = {"source": f"rtsp://127.0.0.1:{self.port}/line1", "timeout": 2.0}


class MjpegHttp(Device):
    """µStreamer without a video device: MJPEG over HTTP with a picture that says so."""

    def __init__(self) -> None:
        self.port = free_port()
        self.command = ["ustreamer", "--device", "/dev/no-such-camera", "--host", "127.0.0.1", "--port", str(self.port)]
        self.options = {"source": f"http://127.0.0.1:{self.port}/stream", "timeout": 3.0}


class GigE(Device):
    """Aravis' GigE Vision camera: 512 × 512 gray, 25 pictures a second."""

    def __init__(self) -> None:
        self.port = 0
        self.command = ["arv-fake-gv-camera-0.8", "-i", "127.0.0.1", "-s", "LINE1"]
        self.options = {"source": "genicam:127.0.0.1", "timeout": 1.0}

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
