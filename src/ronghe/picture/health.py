"""Whether a camera can be trusted: silent, frozen, dark, over-exposed, covered, out of focus, moved.

Each condition is told once it has held for `Limits.within`, within one second at ten pictures a second or more, with the time at which it
began. Dark, over-exposed and without any texture are judged by fixed limits; the rest against what the camera itself showed at the start
(`Limits.learn`), since what is normal differs from view to view. After that the references follow slowly (down within minutes, up within
hours) while nothing is wrong, so that daylight may change and parts come and go, and a sudden change is seen. A sudden change that is
meant is learned by `CameraHealth.learn`.

Frozen is a picture that repeats without its noise: every pixel the same, or, where the camera has been seen to be noisy, hardly any
different (a video encoder refreshes a frozen picture now and then, and a clock may be painted on it). A source that is constant by its
nature, such as a drawn test picture or the replay of a still, is frozen by this rule: exclude the condition there (`Limits.ignore`).
"""

from __future__ import annotations

from collections import deque
from typing import Annotated, Final, Literal, get_args

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from ronghe.picture.libraries import opencv
from ronghe.picture.look import Look, look
from ronghe.text import Text

Kind = Literal["silent", "frozen", "dark", "over-exposed", "covered", "out of focus", "moved"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
NAMES: Final[dict[Kind, Text]] = {
    "silent": Text("no pictures", "无图像"),
    "frozen": Text("frozen", "画面冻结"),
    "dark": Text("dark", "画面过暗"),
    "over-exposed": Text("over-exposed", "过曝"),
    "covered": Text("covered", "镜头被遮挡"),
    "out of focus": Text("out of focus", "失焦"),
    "moved": Text("moved", "相机移位"),
}
COMPARED: Final[tuple[Kind, ...]] = ("silent", "frozen", "out of focus", "moved")
"""What only a continuous view can tell; not to be judged on pictures that have nothing to do with each other."""

_DOWN: Final = 60.0  # s, time constant by which a reference follows what is below it; much slower than what is sudden
_UP: Final = 3600.0  # s, and above it: the reference stays near the least that is normal, since parts come and go
_UNKNOWN: Final = 3.0  # s without a picture, of a camera whose rhythm is not known yet
_NOISY: Final = 0.2  # share of pixels that differ from picture to picture; above it a camera is known to be noisy
_POSE_EVERY: Final = 200_000_000  # ns; a search each time
_SEARCH: Final = 0.08  # share of the width by which a shift is looked for in each direction; beyond it is another view
_CLEAR: Final = 0.5  # least correlation at which a shift means something


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """When something is wrong."""

    within: Annotated[
        float,
        Meta(ge=0, description="s, how long a condition must hold before it is told, and be gone to be over; 0: every picture by itself"),
    ] = 0.6
    silent: Annotated[float, Meta(gt=0, description="s without a picture; of a slow camera, three of its intervals")] = 0.9
    learn: Annotated[float, Meta(gt=0, description="s, how long the normal view is learned")] = 3.0
    dark: Annotated[float, Meta(ge=0, le=255, description="level (0..255) that 99 % of a dark picture stay below")] = 24.0
    bright: Annotated[float, Meta(ge=0, le=255, description="level that 95 % of an over-exposed picture exceed")] = 247.0
    plain: Annotated[float, Meta(ge=0, description="standard deviation, in levels, of a picture without any texture")] = 1.5
    structure: Annotated[float, Meta(ge=0, le=1, description="share of the normal structure below which it is covered")] = 0.35
    focus: Annotated[float, Meta(ge=0, le=1, description="share of the normal sharpness below which it is out of focus")] = 0.5
    shift: Annotated[float, Meta(gt=0, description="share of the picture's width by which a moved camera is off")] = 0.02
    view: Annotated[float, Meta(gt=0, description="fall of the correlation with the normal view that is another view")] = 0.4
    ignore: Annotated[tuple[Kind, ...], Meta(description="conditions that are not told")] = ()


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a camera, since when (ns), and how that is known."""

    kind: Kind
    since: int
    reason: Text


class CameraHealth:
    """Fed every picture of one camera. Not safe between threads; costs about half a millisecond a picture."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = Limits() if limits is None else limits
        self.last: Look | None = None
        """Of the latest picture."""
        self._doubts = {kind: _Doubt(kind, self.limits.within) for kind in KINDS if kind not in self.limits.ignore}
        self._pixels: NDArray[np.uint8] | None = None
        self._time = 0
        self._gaps: deque[int] = deque(maxlen=8)  # ns, between the latest pictures
        self._normal = _Normal(self.limits)
        self._freeze = _Freeze()

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What is wrong now."""
        return tuple(d.told for d in self._doubts.values() if d.told is not None)

    def learn(self) -> None:
        """Takes what the camera shows from now on as its normal view."""
        self._normal = _Normal(self.limits)

    def see(self, pixels: NDArray[np.uint8], time: int) -> tuple[Condition, ...]:
        """Looks at a picture, uint8 (h, w, 3) RGB or (h, w) gray, taken at `time` (ns, never less than before). The array is kept until the
        next one and must not change. Gives what is wrong now. Raises MissingExtra."""
        before, earlier, then = self.last, self._pixels, self._time
        now = look(pixels)
        if before is not None and before.view.shape != now.view.shape:
            self.learn()
            before = None
        if earlier is not None and "silent" not in [c.kind for c in self.conditions]:
            self._gaps.append(time - then)
        self.last, self._pixels, self._time = now, pixels, time
        self._judge("silent", time, None)
        blind = self._judge_view(now, time)
        if earlier is not None and before is not None:
            frozen = self._freeze.judge(before, now, earlier, pixels, then)
            self._judge("frozen", time, None if blind else frozen, since=self._freeze.since)
        return self.conditions

    def at(self, now: int) -> tuple[Condition, ...]:
        """What is wrong at `now` (ns) when no picture has come: to be asked a few times a second."""
        longest = max(self.limits.silent, 3 * max(self._gaps) / 1e9 if len(self._gaps) > 1 else _UNKNOWN)
        doubt = self._doubts.get("silent")
        if doubt is not None and doubt.told is None and self._time and (now - self._time) / 1e9 > longest:
            doubt.tell(self._time, Text(f"no picture for more than {longest:.1f} s", f"超过 {longest:.1f} 秒未收到图像"))
        return self.conditions

    def _judge_view(self, now: Look, time: int) -> bool:
        """What the picture itself shows, and whether it shows nothing at all. One cause, one condition: a black picture is not
        also covered, blurred, moved and frozen."""
        limits, normal = self.limits, self._normal
        dark = bright = covered = blurred = moved = None
        if now.brightest < limits.dark:
            dark = Text(f"99 % of the picture are below level {now.brightest:.0f} of 255", f"99% 的像素低于 {now.brightest:.0f}/255")
        elif now.darkest > limits.bright:
            bright = Text(f"95 % of the picture are above level {now.darkest:.0f} of 255", f"95% 的像素高于 {now.darkest:.0f}/255")
        elif now.spread < limits.plain:
            covered = Text("the picture shows no texture at all", "画面无任何纹理")
        elif normal.known:
            if now.structure < limits.structure * normal.structure:
                share = now.structure / normal.structure
                covered = Text(f"{share:.0%} of the usual structure is left", f"画面结构仅为平时的 {share:.0%}")
            elif now.focus < limits.focus * normal.focus:
                share = now.focus / normal.focus
                blurred = Text(f"edges are at {share:.0%} of their usual sharpness", f"边缘清晰度仅为平时的 {share:.0%}")
            else:
                moved = normal.moved(now, time)
        self._judge("dark", time, dark)
        self._judge("over-exposed", time, bright)
        self._judge("covered", time, covered)
        self._judge("out of focus", time, blurred)
        self._judge("moved", time, moved)
        if not (dark or bright or covered or blurred or moved) and not self.conditions:
            normal.take(now, time)
        return dark is not None or bright is not None

    def _judge(self, kind: Kind, time: int, why: Text | None, *, since: int = 0) -> None:
        doubt = self._doubts.get(kind)
        if doubt is not None:
            doubt.judge(time, why, since)


class _Doubt:
    """One condition: when it began, and whether it has been told."""

    def __init__(self, kind: Kind, within: float) -> None:
        self._kind, self._within = kind, int(within * 1e9)
        self._began = self._ended = self._count = 0
        self.told: Condition | None = None

    def judge(self, time: int, why: Text | None, since: int = 0) -> None:
        """One picture says that it is so (`why`) or not (None); `since`: 0 or the time from which it is known already."""
        if why is None:
            self._began = self._count = 0
            self._ended = self._ended or time
            if self.told is not None and (self._kind == "silent" or time - self._ended >= self._within):
                self.told = None
            return
        self._ended = 0
        self._began = since or self._began or time
        self._count += 1
        if self.told is None and time - self._began >= self._within and (self._count >= 3 or not self._within):
            self.tell(self._began, why)

    def tell(self, since: int, why: Text) -> None:
        self.told = Condition(kind=self._kind, since=since, reason=why)


class _Freeze:
    """Whether pictures repeat."""

    def __init__(self) -> None:
        self._run = 0  # repeats in a row
        self._noise = 0.0  # share of pixels that differ between two pictures, smoothed, while it lives
        self._count = 0
        self.since = 0
        """ns, time of the last picture that was new; 0: the latest was."""

    def judge(self, before: Look, now: Look, earlier: NDArray[np.uint8], pixels: NDArray[np.uint8], then: int) -> Text | None:
        """Compares a picture with the one before it, which came at `then`."""
        share = float(np.count_nonzero(before.sample != now.sample)) / now.sample.size
        noisy = self._count >= 20 and self._noise > _NOISY
        same = (share == 0 and np.array_equal(earlier, pixels)) or (noisy and share < self._noise / 10)
        # An encoder's refresh of a frozen picture is one that differs among many that do not; the next tells.
        refreshed = noisy and share < 0.75 * self._noise and self._run >= 4
        if same or refreshed:
            self._run = self._run + 1 if same else 0
            self.since = self.since or then
            return Text("the same picture again and again, without noise", "画面重复不变，无噪声")
        self._run = self.since = 0
        self._count += 1
        self._noise += (share - self._noise) / min(self._count, 50)
        return None


class _Normal:
    """What the camera shows when all is well."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._count = 0
        self._first = self._last = self._looked = 0
        self.known = False
        """Whether enough was seen."""
        self.structure = np.inf
        """Levels: the least that was seen while learning, since parts come and go; then followed slowly."""
        self.focus = np.inf
        self._learned: list[NDArray[np.float32]] = []
        self._pose: NDArray[np.float32] = np.zeros((0, 0), np.float32)  # where it looks: the mean of what was learned, never changed
        self._view = self._pose  # what it shows: follows
        self._off = limits.shift  # the shift that is still normal: parts on a belt move as well
        self._usual = 1.0  # correlation of a picture with `_view`: follows
        self._why: Text | None = None

    def take(self, now: Look, time: int) -> None:
        """Learns from a picture that is as it should be."""
        self._first = self._first or time
        if self.known:
            since = (time - self._last) / 1e9
            self.structure = _followed(self.structure, now.structure, since)
            self.focus = _followed(self.focus, now.focus, since)
        else:
            self._count += 1
            self.structure = min(self.structure, now.structure)
            self.focus = min(self.focus, now.focus)
            if time - self._looked >= _POSE_EVERY:
                self._looked = time
                self._learned.append(now.view)
            if self._count >= 10 and time - self._first >= self._limits.learn * 1e9:
                self._settle()
        self._last = time

    def _settle(self) -> None:
        """Enough was seen: where it looks, and by how much that is never quite so."""
        self._pose = self._view = np.mean(self._learned, axis=0, dtype=np.float32)
        seen = [_shift(self._pose, v) for v in self._learned]
        self._off = max(self._limits.shift, 1.5 * max(off for off, _ in seen))
        self._usual = min(alike for _, alike in seen)
        self._learned.clear()
        self.known = True

    def moved(self, now: Look, time: int) -> Text | None:
        """Why the camera no longer looks where it looked; looked at five times a second."""
        if time - self._looked < _POSE_EVERY:
            return self._why
        since, self._looked = (time - self._looked) / 1e9, time
        off, alike = _shift(self._pose, now.view)
        usual = self._usual
        self._why = None
        if alike < usual - self._limits.view:
            alike = max(alike, _shift(self._view, now.view)[1])
        if alike < usual - self._limits.view:
            self._why = Text(
                f"another view: correlation with the usual one {alike:.2f} instead of {usual:.2f}",
                f"视野已变：与平时画面的相关系数为 {alike:.2f}（平时 {usual:.2f}）",
            )
        elif alike > _CLEAR and off > self._off:
            self._why = Text(f"the view is shifted by {off:.1%} of its width", f"视野偏移画面宽度的 {off:.1%}")
        else:
            self._view = self._view + (now.view - self._view) * np.float32(min(1.0, since / _DOWN))
            self._usual = _followed(usual, alike, since)
        return self._why


def _followed(reference: float, value: float, since: float) -> float:
    """A reference `since` s later, which follows slowly."""
    return reference + (value - reference) * min(1.0, since / (_DOWN if value < reference else _UP))


def _shift(reference: NDArray[np.float32], view: NDArray[np.float32]) -> tuple[float, float]:
    """By how much a view is shifted, as a share of its width, and how well it fits there: Pearson's r, the same whatever the light."""
    cv2 = opencv()
    edge = max(1, round(_SEARCH * view.shape[1]))
    edge = min(edge, (min(view.shape) - 1) // 3)
    if edge < 1:
        return 0.0, 1.0
    found = cv2.matchTemplate(reference, np.ascontiguousarray(view[edge:-edge, edge:-edge]), cv2.TM_CCOEFF_NORMED)
    _, peak, _, (x, y) = cv2.minMaxLoc(found)
    return float(np.hypot(x - edge, y - edge)) / view.shape[1], float(peak)
