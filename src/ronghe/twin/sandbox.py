"""A twin in a process of its own: a model is code, and may crash, hang, or eat memory. The node lives on, and tries it again next time.

    Sandbox ── plant, options (a file) ──▶ python -m ronghe.twin.inside ── what the twin takes and shows ──▶
            ── values, set-points, steps ─▶                             ── the trajectory, or why not ─────▶

The process is kept for the next trial. One that does not answer in time is killed, and one that died is started again when it is asked.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Final, TypeVar

import msgspec
import numpy as np

from ronghe.errors import TwinError
from ronghe.plant import Plant
from ronghe.plant.model import TwinSpec
from ronghe.text import Text
from ronghe.twin.inside import Asked, Described, Failed, Ran, Reply, packed
from ronghe.twin.trial import Trajectory

_BOOT: Final = 60.0  # s to read a model
_ONE: Final = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
_PASSED: Final = frozenset({"PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR", "VIRTUAL_ENV", "RONGHE_LANG"})
"""Environment variables that a model may see: no secrets of connections."""
_R = TypeVar("_R", Described, Ran)


class Sandbox:
    """One twin of a plant. Everything may be called from any thread and returns, or raises TwinError, within the seconds given."""

    def __init__(self, spec: TwinSpec, plant: Plant) -> None:
        self.name = spec.name
        self._spec, self._plant = spec, plant
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._line: Connection | None = None
        self._about: Described | None = None
        self._closed = False
        self._since = 0.0  # when the process was started

    def described(self, within: float) -> Described:
        """What the twin takes and shows; the process is started if there is none. Raises TwinError, also where the model cannot be read."""
        with self._turn(within) as until:
            return self._ready(until)

    def run(self, values: Mapping[str, float], settings: Mapping[str, float], steps: int, within: float) -> Trajectory:
        """One trial, see `ronghe.twin.trial.run`. Raises TwinError, also where the process dies or takes too long: then it is killed."""
        with self._turn(within) as until:
            about = self._ready(until)
            assert self._line is not None
            try:
                self._line.send_bytes(msgspec.msgpack.encode(Asked(dict(values), dict(settings), steps)))
            except OSError as e:
                raise self._died() from e
            ran = self._receive(until, Ran)
            if ran is None:
                self._kill()
                self._start()  # ready for the next
                raise TwinError(Text(f"no answer within {within:g} s", f"{within:g} s 内未完成试算"), where=self._where)
            shown = np.frombuffer(ran.values, np.float64).reshape(steps, len(about.outputs))
            return Trajectory(about.every, about.outputs, shown)

    def close(self) -> None:
        """Ends the process, for good. Safe to call twice."""
        self._closed = True
        process = self._process
        if process is not None:
            process.kill()  # so that nobody waits for its answer any more
        with self._lock:
            self._kill()

    @property
    def _where(self) -> str:
        return f"twins.{self.name}"

    @contextmanager
    def _turn(self, within: float) -> Iterator[float]:
        """One at a time; gives when the time is over, by the monotonic clock."""
        until = time.monotonic() + within
        if not self._lock.acquire(timeout=max(within, 0)):
            raise TwinError(Text("it is busy with another trial", "正忙于另一次试算"), where=self._where)
        try:
            yield until
        finally:
            self._lock.release()

    def _ready(self, until: float) -> Described:
        if self._process is None or self._process.poll() is not None:
            self._start()
        if self._about is None:
            self._about = self._receive(until, Described)
        if self._about is None:
            if time.monotonic() - self._since > _BOOT:
                self._kill()
                raise TwinError(Text(f"the model was not read within {_BOOT:g} s", f"{_BOOT:g} s 内未能载入模型"), where=self._where)
            raise TwinError(Text("the model is still being read", "模型仍在载入"), where=self._where, todo=Text("try again", "请稍后重试"))
        return self._about

    def _start(self) -> None:
        self._kill()
        if self._closed:
            raise TwinError(Text("it has been closed", "已关闭"), where=self._where)
        self._line, theirs = Pipe()
        with tempfile.TemporaryFile() as setup, theirs:
            setup.write(packed(self._spec, self._plant))
            setup.flush()
            numbers = (theirs.fileno(), setup.fileno())
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", "ronghe.twin.inside", *map(str, numbers)],
                stdin=subprocess.DEVNULL,
                pass_fds=numbers,
                env={k: v for k, v in os.environ.items() if k in _PASSED or k.startswith("PYTHON")} | _ONE,
            )
        self._since = time.monotonic()

    def _receive(self, until: float, kind: type[_R]) -> _R | None:
        """The answer; None when it did not come in time. Raises TwinError for an answer that is a failure, and for none."""
        assert self._line is not None
        try:
            if not self._line.poll(max(until - time.monotonic(), 0)):
                return None
            reply = msgspec.msgpack.decode(self._line.recv_bytes(), type=Reply)
        except (EOFError, OSError) as e:
            raise self._died() from e
        if isinstance(reply, kind):
            return reply
        assert isinstance(reply, Failed)
        if reply.ended:
            self._kill()
        raise TwinError(reply.what, where=reply.where or self._where, todo=reply.todo)

    def _died(self) -> TwinError:
        process = self._process
        assert process is not None
        try:
            code = process.wait(0.5)  # the line breaks a moment before the process is gone
        except subprocess.TimeoutExpired:
            code = 0
        self._kill()
        how = Text(f"signal {-code}", f"信号 {-code}") if code < 0 else Text(f"exit code {code}", f"退出码 {code}")
        return TwinError(Text(f"the model's process died ({how.en})", f"模型进程意外退出（{how.zh}）"), where=self._where)

    def _kill(self) -> None:
        if self._line is not None:
            self._line.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = self._line = self._about = None
