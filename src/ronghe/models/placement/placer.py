"""Places the models of one node: measures, decides, moves, and says why."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary

import msgspec

from ronghe.errors import ConnectError, Unreachable
from ronghe.models import runtime
from ronghe.models.placement.decide import NEAR, Chooser, Move, Option, weigh
from ronghe.models.placement.session import PlacedSession, Remote
from ronghe.models.placement.site import Site
from ronghe.models.placement.times import Times
from ronghe.models.runtime import Session
from ronghe.plant.model import Placing, SiteSpec
from ronghe.signals.when import parse_duration
from ronghe.text import Text

log = logging.getLogger(__name__)

HERE: Final = "here"
"""The name of this node where no `[sites.NAME]` is it."""
_TRIAL_SHARE: Final = 0.01  # of the link, and of this node's processor, at most
_ASK_AGAIN: Final = 30.0  # s


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """In s: how often a link is probed, all is decided, a model is tried elsewhere; and how long a better site must have been better."""

    probe: float = 0.25
    decide: float = 0.25
    trial: float = 10.0
    settle: float = 5.0


class Placer:
    """`start` → sessions made under `placing(app)` are measured and moved → `close`. `view` and `troubles` from any thread."""

    def __init__(
        self, sites: Mapping[str, SiteSpec], *, clock: Callable[[], int], pace: Pace | None = None, file: Path | None = None
    ) -> None:
        """`file` is where the view is kept for people, in JSON. A site whose address is none is an alarm and no error."""
        self._clock, self._pace, self._file = clock, pace or Pace(), file
        self._here, self._spec = next(((n, s) for n, s in sites.items() if not s.url), (HERE, SiteSpec(kind="edge")))
        self.sites: dict[str, Site] = {}
        self._trouble: dict[str, Text | None] = {}
        for name, spec in sites.items():
            if spec.url:
                try:
                    self.sites[name] = Site(name, spec, clock=clock, every=self._pace.probe)
                except (Unreachable, OSError) as e:
                    what = e.what if isinstance(e, Unreachable) else Text(str(e))
                    self._trouble[name] = Text(f"site {name} cannot be used: {what.en}", f"位置 {name} 无法使用：{what.in_('zh')}")
        self._choosers: WeakKeyDictionary[PlacedSession, Chooser] = WeakKeyDictionary()
        self._options: WeakKeyDictionary[PlacedSession, dict[str, Option]] = WeakKeyDictionary()
        self._moves: deque[Move] = deque(maxlen=100)
        self._untold: deque[Move] = deque(maxlen=100)
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._kept = 0
        self._wakes = Times(256, 60.0)
        self._thread = threading.Thread(target=self._work, name="placement", daemon=True)

    def start(self) -> None:
        """Begins to measure and to place."""
        for site in self.sites.values():
            site.start()
        self._thread.start()

    def close(self) -> None:
        """From now on everything runs here."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        with self._lock:
            for session in list(self._choosers):
                session.remote = None
        for site in self.sites.values():
            site.close()

    @contextmanager
    def placing(self, app: str, place: Placing, *, safety: bool = False) -> Iterator[None]:
        """What `models.runtime.session` gives in here, and in threads that carry on this context, is placed. With `safety` it does not
        leave sites of kind device and edge, unless `place` names others."""
        token = runtime.placing.set(partial(self._session, app, place, safety))
        try:
            yield
        finally:
            runtime.placing.reset(token)

    def session(
        self, onnx: bytes, *, app: str, place: Placing, safety: bool = False, threads: int = 1, outputs: Sequence[str] = ()
    ) -> PlacedSession:
        """A session that is placed for as long as somebody holds it. Raises as `Session`."""
        may = [
            site
            for name, site in self.sites.items()
            if (name in place.sites if place.sites is not None else not safety or site.spec.kind in NEAR)
        ]
        deadline = parse_duration(place.deadline) / 1e6
        session = PlacedSession(onnx, threads=threads, outputs=outputs, app=app, deadline_ms=deadline, sites=may, clock=self._clock)
        with self._lock:
            self._choosers[session] = Chooser(session.name, self._here, self._clock(), self._pace.settle)
        return session

    def troubles(self) -> dict[str, Text | None]:
        """By app, or site: what people must be told, None where all is well."""
        with self._lock:
            told = {**self._trouble}
            for session, chooser in self._choosers.items():
                other = next((Text(f"{n}: {r.no.en}", f"{n}：{r.no.zh}") for n, r in session.remotes.items() if r.refused and r.no), None)
                told[session.app] = told.get(session.app) or chooser.trouble or other
            return told

    def take_moves(self) -> list[Move]:
        """The moves since the last time that this was asked."""
        with self._lock:
            moves = list(self._untold)
            self._untold.clear()
            return moves

    def step(self) -> None:
        """Weighs every model, and moves those that are to move."""
        with self._lock:
            for session, chooser in list(self._choosers.items()):
                chooser.model = session.name
                session.plan(self._wakes.p99(self._clock(), 101) or 0.0)
                options = self._options[session] = self._weigh(session)
                move = chooser.step(options, self._clock())
                if move is not None:
                    log.info("%s: %s → %s: %s", move.model, move.from_, move.to, move.why)
                    self._moves.append(move)
                    self._untold.append(move)
                session.remote = session.remotes.get(chooser.at)

    def view(self) -> dict[str, Any]:
        """Sites, models and moves for the centre's console: times in ms since 1970 UTC, texts {"en", "zh"}."""
        with self._lock:
            models = [self._model(s, c) for s, c in self._choosers.items()]
            moves = [
                {"time": m.time // 1_000_000, "model": m.model, "from": m.from_, "to": m.to, "why": _text(m.why)}
                for m in reversed(self._moves)
            ]
        return {"sites": [*self._here_view(), *map(_site, self.sites.values())], "models": models, "moves": moves}

    def _session(self, app: str, place: Placing, safety: bool, onnx: bytes, threads: int, outputs: Sequence[str]) -> Session:
        return self.session(onnx, app=app, place=place, safety=safety, threads=threads, outputs=outputs)

    def _weigh(self, session: PlacedSession) -> dict[str, Option]:
        here = session.measured(self._spec.cost)
        options = {self._here: weigh(self._here, self._spec.kind, session.deadline_ms, here)}
        for name, remote in session.remotes.items():
            measured = remote.measured(session.patience_ms, here.cost or 0.0)
            options[name] = weigh(name, remote.site.spec.kind, session.deadline_ms, measured, here.compute_ms)
        return options

    def _work(self) -> None:
        while True:
            due = time.perf_counter() + self._pace.decide
            if self._ended.wait(self._pace.decide):
                return
            self._wakes.add(self._clock(), max(0.0, time.perf_counter() - due) * 1e3)  # as late as any other thread would have been
            try:
                self.step()
                self._try_others()
                self._keep()
            except Exception:  # nothing else places the models
                log.exception("placement")

    def _try_others(self) -> None:
        now = self._clock()
        with self._lock:
            sessions = list(self._choosers)
        for session in sessions:
            for remote in session.remotes.values():
                if remote.site.up and not (remote.trying or remote.refused) and now >= remote.due:
                    remote.trying = True
                    remote.site.submit(partial(self._try, session, remote))

    def _try(self, session: PlacedSession, remote: Remote) -> None:
        try:
            session.attempt(remote)
        except ConnectError as e:
            remote.served, remote.no = None, e.what
        except Exception:
            log.exception("site %s", remote.site.name)
        finally:
            remote.due = self._clock() + round(self._pause(session, remote) * 1e9)
            remote.trying = False

    def _pause(self, session: PlacedSession, remote: Remote) -> float:
        """s to the next trial: often until enough is known, then seldom; a small share of the link and of the processor."""
        speed = remote.site.bps()
        usual = session.measured(1.0).cost or 0.0
        if remote.served is None:
            return min(_ASK_AGAIN, self._pace.trial)
        least = self._pace.trial if remote.known else self._pace.decide
        return max(
            least,
            usual / _TRIAL_SHARE if remote.known else 0.0,
            session.train * remote.payload * 8 / (_TRIAL_SHARE * speed) if speed else 0.0,
        )

    def _keep(self) -> None:
        """Keeps the view in its file, now and then and after a move."""
        now = self._clock()
        newest = self._moves[-1].time if self._moves else 0
        if self._file is not None and self._choosers and (now - self._kept > 30e9 or newest > self._kept):
            self._kept = now  # also when it fails: a full disk is told now and then, not at every step
            part = self._file.with_name(self._file.name + ".part")
            part.write_bytes(msgspec.json.encode({"now": now // 1_000_000, **self.view()}))
            part.replace(self._file)

    def _model(self, session: PlacedSession, chooser: Chooser) -> dict[str, Any]:
        return {
            "model": chooser.model,
            "app": session.app,
            "deadline_ms": session.deadline_ms,
            "site": chooser.at,
            "since": chooser.since // 1_000_000,
            "why": _text(chooser.why),
            "trouble": chooser.trouble and _text(chooser.trouble),
            "options": [
                {
                    "site": o.site,
                    "compute_ms": o.compute_ms,
                    "link_ms": o.link_ms,
                    "p99_ms": o.p99_ms,
                    "cost": o.cost,
                    "meets": o.meets,
                    "why": _text(o.why),
                }
                for o in self._options.get(session, {}).values()
            ],
            "runs": msgspec.to_builtins(session.tally),
        }

    def _here_view(self) -> Iterator[dict[str, Any]]:
        title = self._spec.title or (Text("this node", "本节点") if self._here == HERE else Text(self._here, self._here))
        none = dict.fromkeys(("rtt_ms", "p99_ms", "jitter_ms", "loss", "bps"))
        yield {"site": self._here, "kind": self._spec.kind, "title": _text(title), **none, "up": True}


def _site(site: Site) -> dict[str, Any]:
    link = site.link()
    return {
        "site": site.name,
        "kind": site.spec.kind,
        "title": _text(site.title),
        "rtt_ms": link and link.rtt_ms,
        "p99_ms": link and link.p99_ms,
        "jitter_ms": link and link.jitter_ms,
        "loss": link and link.loss,
        "bps": link and link.bps,
        "up": site.up,
    }


def _text(text: Text) -> dict[str, str]:
    return {"en": text.en, "zh": text.in_("zh")}
