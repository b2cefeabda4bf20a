"""Kills a node with SIGKILL at every step of fetching, switching, proving and taking back a model, and looks what the next start finds.

`python kill_at_every_step.py STORE BUNDLE TIME`: the store runs version 1, the bundle has version 2. A step is each call that changes what
is on the disk, or makes it durable; between two of them nothing that a start could find is different. For each step one line on stdout:
"step call version events", before which call it was killed, what ran after the next start, and what that start said.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec

from ronghe.models import load
from ronghe.models.delivery import Bundle, Store
from ronghe.text import Text


def work(store: Store, bundle: Bundle) -> None:
    """All that is done with a release, the trial by the app left out."""
    wanted = msgspec.structs.replace(bundle.models[0], app="watch")
    store.vet(wanted)
    store.fetch(wanted, bundle)
    store.check(wanted)
    store.switch(wanted)
    store.prove("watch")
    store.back("watch", Text("it fails"))
    store.collect()


def kills_at(step: int, report: int) -> None:
    """Lets this process live up to its step, and says on a pipe what it would have done there."""
    left = step

    def count(what: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            real_write(report, what.encode())
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(event: str, args: tuple[Any, ...]) -> None:
        if event in ("os.rename", "os.remove", "os.mkdir", "os.truncate") or (event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR)):
            count(event)

    def fsync(fd: int) -> None:  # a kill, other than a power cut, loses nothing that was written: no need to wait for the disk
        count("fsync")

    def write(fd: int, data: bytes) -> int:
        count("write")
        half = real_write(fd, data[: len(data) // 2])
        count("the other half")
        return half + real_write(fd, data[half:])

    real_write = os.write
    os.fsync, os.write = fsync, write
    sys.addaudithook(audit)


def attempt(folder: Path, bundle: Bundle, step: int) -> str:
    """Before which call it was killed, or nothing when it had done all before."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        store = Store(folder, clock=lambda: CLOCK, reserve=0)
        kills_at(step, write)
        work(store, bundle)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as told:
        call = told.read()
    status = os.waitpid(child, 0)[1]
    assert status == (signal.SIGKILL if call else 0)
    return call


def main(prepared: Path, bundle: Bundle) -> None:
    step, call, folder = 0, "start", prepared.with_name("killed")
    os.fsync = lambda fd: None
    while call:
        step += 1
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(prepared, folder)
        call = attempt(folder, bundle, step)
        store = Store(folder, clock=lambda: CLOCK, reserve=0)
        said = [e.event for e in store.recover()]
        path = store.current("watch")
        version = load(path).manifest.version if path is not None else "none"
        print(step, call.replace(" ", "_") or "end", version, *said, flush=True)
        work_again(store, bundle)


def work_again(store: Store, bundle: Bundle) -> None:
    """What was cut off can be done after it: nothing stands in its way. Raises where it does."""
    pointer = store.pointer("watch")
    if not pointer.spoilt:
        work(store, bundle)
    assert not list((store.folder / "fetching").glob("*"))


if __name__ == "__main__":
    CLOCK = int(sys.argv[3])
    main(Path(sys.argv[1]), Bundle(Path(sys.argv[2])))
