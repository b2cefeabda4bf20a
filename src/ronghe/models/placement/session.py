"""A session that runs where its model has been placed, and is back within its deadline even when the link stalls.

A call to another site is overtaken: when so much of the deadline is left as a run here takes, it is run here. Nobody waits for a link that
was late and is still silent. What was run twice, or here though it was placed elsewhere, is counted.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.errors import ConnectError, Unreachable
from ronghe.models.placement.decide import MARGIN, Measured
from ronghe.models.placement.link import LATEST
from ronghe.models.placement.site import Site
from ronghe.models.placement.times import Times
from ronghe.models.remote import Answer, Served, Tensors
from ronghe.models.runtime import Session
from ronghe.text import Text

_HERE_AT_LEAST: Final = 8  # runs, before their p99 is believed
_THERE_AT_LEAST: Final = 5
_LATE_AT_LEAST: Final = 20
_SEEN_AT_LEAST: Final = 101  # of fewer calls the p99 is the worst one
_TRAIN, _IDLE = 3, 0.2  # calls of a train; s after which TCP begins anew (its least time-out)
_ALIKE: Final = 1e-4  # of the range of an output: other processors add in another order; more is another model


class Tally(msgspec.Struct):
    """Runs since the start: all; those answered elsewhere; those that were overtaken here; those not sent, as the link had stalled;
    those that failed there at once and were run here; and those that missed the deadline."""

    calls: int = 0
    remote: int = 0
    overtaken: int = 0
    held: int = 0
    failed: int = 0
    missed: int = 0


class Remote:
    """One model at another site: what is known of it there. Called from several threads."""

    def __init__(self, site: Site, deadline_ms: float, clock: Callable[[], int]) -> None:
        self.site, self._clock = site, clock
        self._latest = max(2 * deadline_ms, LATEST)  # ms after which a call is given up
        self.served: Served | None = None
        self.no: Text | None = Text("not asked yet", "尚未询问")
        self.refused = False  # it gives other numbers: for good
        self.payload = 0.0  # bytes of the last call, both ways
        self.due = 0  # when it is to be tried next, ns
        self.trying = False
        self._compute, self._totals, self._lately = Times(256, 600.0), Times(256, 60.0), Times(256, 20.0)

    @property
    def free(self) -> bool:
        """Whether a call may be sent: not while an earlier one should have been back long ago."""
        return self.site.overdue == 0 and self.served is not None and not self.refused

    @property
    def known(self) -> bool:
        """Whether it ran there often enough to be judged."""
        return self._compute.p99(self._clock(), _THERE_AT_LEAST) is not None

    def run(self, feed: Tensors, outputs: Sequence[str], *, first: bool = False) -> Answer:
        """One call, measured; the `first` of a train only wakes the connection. Raises ConnectError."""
        served = self.served
        try:
            if served is None:
                raise Unreachable(Text("it is not served there any more", "该处已不再提供"))
            answer = self.site.infer(served, feed, outputs, self._latest / 1e3)
        except ConnectError as e:
            self._seen(self._clock(), self._latest)
            self.no = Text(f"its last call failed: {e.what.en}", f"上次调用失败：{e.what.in_('zh')}")
            raise
        link, now = self.site.link(), self._clock()
        trip = link.rtt_ms if link is not None else 0.0
        compute = answer.compute_ms if answer.compute_ms is not None else max(0.0, answer.total_ms - trip)
        self._compute.add(now, compute)
        if first:
            return answer
        if answer.compute_ms is not None and link is not None:
            self.site.carried(answer, compute, trip)
        self.payload = answer.sent + answer.received if answer.compute_ms is not None else 0.0  # else its time is in `compute`
        self._seen(now, answer.total_ms)
        return answer

    def _seen(self, now: int, ms: float) -> None:
        self._totals.add(now, ms)
        self._lately.add(now, ms)

    def measured(self, patience_ms: float, here_cost: float) -> Measured:
        """What is known now; of calls that take longer than `patience_ms`, a run here is paid for as well."""
        now, site = self._clock(), self.site
        if not site.up:
            why = site.trouble or Text("it does not answer", "无应答")
            return Measured(no=Text(f"the link is down: {why.en}", f"链路中断：{why.in_('zh')}"))
        if self.no is not None:
            return Measured(no=self.no)
        link, usual, totals, transfer = site.link(), self._compute.median(now), self._lately.ordered(now), site.transfer(self.payload)
        late = site.late(patience_ms - (usual or 0.0) - (transfer or 0.0))
        if len(totals) >= _LATE_AT_LEAST:
            late = max(late, sum(ms > patience_ms for ms in totals) / len(totals))
        return Measured(
            compute_ms=self._compute.p99(now, _THERE_AT_LEAST),
            trip_ms=link.p99_ms if link is not None else None,
            transfer_ms=transfer,
            observed_ms=self._totals.p99(now, _SEEN_AT_LEAST),
            cost=None if usual is None else site.spec.call + site.spec.cost * usual / 1e3 + late * here_cost,
            late=late,
        )

    def compare(self, answer: Answer, here: Mapping[str, NDArray[Any]]) -> None:
        """Refuses the site for good where its numbers are not those of a run here."""
        for name, mine in here.items():
            apart = difference(answer.outputs[name], mine)
            if apart is None or apart > _ALIKE:
                self.refused = True
                how = (
                    Text("of another shape or type", "形状或类型不同")
                    if apart is None
                    else Text(f"{apart:.2g} of its range", f"量程的 {apart:.2g}")
                )
                self.no = Text(
                    f"refused: its {name!r} is not what is computed here ({how.en})", f"已拒用：输出 {name!r} 与本地计算不一致（{how.zh}）"
                )


class PlacedSession(Session):
    """A session with a deadline. `remote` and `patience_ms` are set by who places it; without a remote it runs here."""

    def __init__(
        self,
        onnx: bytes,
        *,
        threads: int = 1,
        outputs: Sequence[str] = (),
        app: str = "",
        deadline_ms: float,
        sites: Sequence[Site] = (),
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """`outputs` as of `Session`; `deadline_ms` is that of one run. Raises as `Session`."""
        super().__init__(onnx, threads=threads, outputs=outputs)
        self.app, self.deadline_ms, self._clock = app, deadline_ms, clock
        self.graph = hashlib.sha256(onnx).hexdigest()
        self.remotes = {s.name: Remote(s, deadline_ms, clock) for s in sites}
        self.remote: Remote | None = None
        self.patience_ms = 0.0
        self.tally = Tally()
        self.curious = True  # whether the next input is kept, to try other sites with
        self.sample: dict[str, NDArray[Any]] | None = None
        self._times = Times(256, 600.0)
        self._began, self._gap = time.perf_counter(), 60.0  # of the last run, and s between two, smoothed
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """What it is called where it is served, else by its app and the hash of its graph."""
        served = next((r.served for r in self.remotes.values() if r.served is not None), None)
        return served.name if served is not None else f"{self.app}/{self.graph[:8]}"

    def run(self, *arrays: NDArray[Any], **named: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """As `Session.run`."""
        began = time.perf_counter()
        feed = {**dict(zip(self.inputs, arrays, strict=False)), **named}
        if self.curious:
            self.sample, self.curious = {n: a.copy() for n, a in feed.items()}, False
        remote = self.remote
        if remote is None:
            out, how = self.here(feed), ""
        elif not remote.free:
            out, how = self.here(feed), "held"
        else:
            out, how = self._raced(remote, feed)
        late = (time.perf_counter() - began) * 1e3 > self.deadline_ms
        with self._lock:
            self._gap += (min(began - self._began, 60.0) - self._gap) / 8
            self._began = began
            self.tally.calls += 1
            self.tally.missed += late
            if how:
                setattr(self.tally, how, getattr(self.tally, how) + 1)
        return out

    def here(self, feed: Tensors) -> tuple[NDArray[Any], ...]:
        """Runs it here, and measures it."""
        began = time.perf_counter()
        out = super().run(**feed)
        self._times.add(self._clock(), (time.perf_counter() - began) * 1e3)
        return out

    def measured(self, cost: float) -> Measured:
        """What is known of runs here, at `cost` a second."""
        now = self._clock()
        usual = self._times.median(now)
        return Measured(
            compute_ms=self._times.p99(now, _HERE_AT_LEAST),
            trip_ms=0.0,
            transfer_ms=0.0,
            cost=None if usual is None else cost * usual / 1e3,
        )

    def plan(self, wake_ms: float) -> None:
        """Sets how long an answer is waited for, on a processor so busy that a thread wakes `wake_ms` late. Where a run here alone takes
        too long, it is begun when the answer is late for sure."""
        left = self.deadline_ms * (1 - MARGIN) - wake_ms
        p99 = self._times.p99(self._clock(), _HERE_AT_LEAST)
        self.patience_ms = left - p99 if p99 is not None and p99 < left else left

    @property
    def train(self) -> int:
        """Calls of one trial: several, where calls follow so soon that TCP does not begin anew."""
        return _TRAIN if self._gap < _IDLE else 1

    def attempt(self, remote: Remote) -> None:
        """Runs the kept input there and here: measures both, and compares. Raises ConnectError; does nothing while there is no input.

        A connection that was idle is slow to begin with (RFC 9293 and 5681): a model that runs often is tried by a short train of calls.
        """
        if remote.served is None:
            remote.served = remote.site.find(self.graph)
        if remote.served is None:
            remote.no = Text(
                "this graph is not served there; make a package of it with `ronghe place graph`",
                "该处未提供此计算图；请用 `ronghe place graph` 生成其模型包",
            )
            return
        if remote.no is not None and not remote.refused:
            remote.no = None
        feed = self.sample
        if feed is None:
            return
        for _ in range(self.train - 1):
            remote.run(feed, self.outputs, first=True)
        answer = remote.run(feed, self.outputs)
        remote.compare(answer, dict(zip(self.outputs, self.here(feed), strict=True)))
        self.curious = True

    def _raced(self, remote: Remote, feed: dict[str, NDArray[Any]]) -> tuple[tuple[NDArray[Any], ...], str]:
        try:
            call: Future[Answer] = remote.site.submit(lambda: remote.run(feed, self.outputs))
        except RuntimeError:  # the site has been closed
            return self.here(feed), "failed"
        try:
            answer = call.result(self.patience_ms / 1e3)
        except Late:
            remote.site.await_late(call)
            return self.here(feed), "overtaken"
        except Exception:  # whatever happened on the way, and an input that fits no graph too: the run here is what counts
            return self.here(feed), "failed"
        return tuple(answer.outputs[n] for n in self.outputs), "remote"


def difference(a: NDArray[Any], b: NDArray[Any]) -> float | None:
    """The largest difference of two arrays as a part of the range of `b`; None where shape or type differ, or what is not finite."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return None
    if not b.size or np.array_equal(a, b, equal_nan=b.dtype.kind == "f"):
        return 0.0
    x, y = a.astype(np.float64), b.astype(np.float64)
    finite = np.isfinite(y)
    if not np.array_equal(finite, np.isfinite(x)) or not np.array_equal(x[~finite], y[~finite], equal_nan=True):
        return None
    apart = np.abs(x[finite] - y[finite]).max()
    return float(apart / max(np.ptp(y[finite]), np.abs(y[finite]).max(), 1e-30))
