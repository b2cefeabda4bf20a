"""The edge's part of `ronghe bench place`, in a process of its own: one model that is placed, and the same at the workshop always.

    python -m ronghe.bench.place_edge URL MODEL DEADLINE SECONDS RATE     (the key in the environment, as SITE_KEY)

Prints "up" when it begins, and at the end one line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from ronghe.errors import ConnectError
from ronghe.models.placement import Pace, Placer
from ronghe.models.placement.trial import graph_of, inputs
from ronghe.models.remote import Endpoint
from ronghe.models.runtime import Session
from ronghe.plant.model import Placing, SiteSpec

PACE: Final = Pace(probe=0.1, decide=0.1, trial=1.0, settle=2.0)  # two and a half times as fast as a node's own
SHAPE: Final = {"pixels": (1, 112, 112, 3)}
_KEY: Final = "SITE_KEY"

Calls = list[tuple[float, float]]
"""(when, by the machine's monotonic clock, s; how long it took, ms)."""


class Always(threading.Thread):
    """The model at the workshop, whatever the link does: each call waits for its answer, and what was due meanwhile is as late as that."""

    def __init__(self, url: str, feed: dict[str, Any], rate: float) -> None:
        super().__init__(daemon=True)
        self.calls: Calls = []
        self.ended = threading.Event()
        self._endpoint, self._feed, self._rate = Endpoint(url, key=os.environ[_KEY], timeout=2.0), feed, rate

    def run(self) -> None:
        """Until it has `ended`."""
        due = time.monotonic()
        while not self.ended.wait(max(0.0, due - time.monotonic())):
            try:
                self._endpoint.infer("look", self._feed)
            except ConnectError:
                self._endpoint.close()
            now = time.monotonic()
            while due < now:
                self.calls.append((due, (now - due) * 1e3))
                due += 1 / self._rate


def main(url: str, model: str, deadline: str, seconds: float, rate: float) -> None:
    """One run."""
    onnx = graph_of(Path(model))
    feed = inputs(Session(onnx), SHAPE, np.random.default_rng(0))
    sites = {
        "edge": SiteSpec(kind="edge", cost=2.0),
        "workshop": SiteSpec(kind="workshop", url=url, cost=1.0, api_key=os.environ[_KEY]),
    }
    placer, always = Placer(sites, clock=time.time_ns, pace=PACE), Always(url, feed, rate)
    session = placer.session(onnx, app="inspect", place=Placing(deadline=deadline))
    calls: Calls = []
    places: list[str] = []
    placer.start()
    print("up", flush=True)
    always.start()
    due = began = time.monotonic()
    while due - began < seconds:
        time.sleep(max(0.0, due - time.monotonic()))
        before = session.tally.remote
        session.run(**feed)
        calls.append((due, (time.monotonic() - due) * 1e3))
        places.append("workshop" if session.tally.remote > before else "edge")
        due += 1 / rate
    always.ended.set()
    placer.step()
    view = placer.view()
    always.join()
    placer.close()
    monotonic = time.time() - time.monotonic()
    moves = [{**m, "time": m["time"] / 1e3 - monotonic} for m in reversed(view["moves"])]
    print(json.dumps({"calls": calls, "places": places, "always": always.calls, "moves": moves, "view": view}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]), float(sys.argv[5]))
