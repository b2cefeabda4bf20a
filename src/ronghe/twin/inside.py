"""The inside of `ronghe.twin.sandbox`: the process in which a twin lives, and what is said between the two."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec

from ronghe import plugins
from ronghe.errors import RongheError
from ronghe.plant import Plant
from ronghe.plant.model import TwinSpec
from ronghe.text import Text
from ronghe.twin.contract import Twin
from ronghe.twin.trial import run

log = logging.getLogger(__name__)


class Setup(msgspec.Struct, frozen=True, array_like=True):
    """Which twin, and of which plant: without connections, apps and guards, and so without their secrets."""

    name: str
    uses: str
    options: msgspec.Raw
    plant: Plant


class Asked(msgspec.Struct, frozen=True, array_like=True):
    """One trial: values measured now and set-points to try, by tag."""

    values: dict[str, float]
    settings: dict[str, float]
    steps: int


class Described(msgspec.Struct, frozen=True, tag=True):
    """What a twin takes, needs and shows."""

    inputs: tuple[str, ...]
    state: tuple[str, ...]
    outputs: tuple[str, ...]
    every: float  # s


class Ran(msgspec.Struct, frozen=True, tag=True):
    """A trajectory: float64[steps, outputs], row by row."""

    values: bytes


class Failed(msgspec.Struct, frozen=True, tag=True):
    """A TwinError; `ended`: and the process with it."""

    what: Text
    where: str
    todo: Text
    ended: bool


Reply = Described | Ran | Failed


def packed(spec: TwinSpec, plant: Plant) -> bytes:
    """A `Setup` as the process reads it."""
    options = msgspec.Raw(msgspec.msgpack.encode(spec.options, enc_hook=str))  # the only thing of no plain type is a path
    bare = msgspec.structs.replace(plant, connections={}, apps={}, twins={}, guards={}, equipment={})
    return msgspec.msgpack.encode(Setup(spec.name, spec.uses, options, bare))


def _path(kind: type, value: Any) -> Any:
    if issubclass(kind, Path):
        return Path(value)
    raise NotImplementedError


def _load(setup: Setup) -> Twin:
    kind: type[Twin] = plugins.load("ronghe.twins", setup.uses)
    options = msgspec.msgpack.decode(setup.options, type=kind.Options, dec_hook=_path)
    return kind(setup.name, setup.plant, options, Path(setup.plant.folder))


def _failed(e: Exception, *, ended: bool) -> Failed:
    if isinstance(e, RongheError):
        return Failed(e.what, e.where, e.todo, ended)
    log.error("the model failed", exc_info=e)
    return Failed(Text(f"{type(e).__name__}: {e}", f"{type(e).__name__}：{e}"), "", Text(""), ended)


def _try(twin: Twin, asked: Asked) -> Ran:
    return Ran(run(twin, asked.values, asked.settings, asked.steps).values.tobytes())


def _live_no_longer_than(parent: int) -> None:
    """A model that never returns does not outlive the node that asked it."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def main(line: Connection, setup: Setup) -> None:
    """Reads the model, says what it is, and answers until nobody asks any more."""

    def say(reply: Reply) -> None:
        line.send_bytes(msgspec.msgpack.encode(reply))

    try:
        twin = _load(setup)
        say(Described(tuple(twin.inputs), tuple(twin.state), tuple(twin.outputs), float(twin.every)))
    except Exception as e:
        say(_failed(e, ended=True))
        return
    try:
        while True:
            asked = msgspec.msgpack.decode(line.recv_bytes(), type=Asked)
            try:
                say(_try(twin, asked))
            except Exception as e:
                say(_failed(e, ended=twin.spoilt))
            if twin.spoilt:
                return
    except (EOFError, OSError):  # the node has gone
        twin.close()


if __name__ == "__main__":
    threading.Thread(target=_live_no_longer_than, args=(os.getppid(),), daemon=True).start()
    os.dup2(2, 1)  # what a model prints goes where the node's log goes
    with os.fdopen(int(sys.argv[2]), "rb") as file:
        file.seek(0)
        given = msgspec.msgpack.decode(file.read(), type=Setup)
    main(Connection(int(sys.argv[1])), given)
