"""`ronghe safety watch`: people in danger zones, on a recording or a camera, with no plant."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, get_args

import click
import msgspec

from ronghe.apps.safety import ADVISORY
from ronghe.apps.safety.evaluate import Spread, ZoneReport, longest_release, report
from ronghe.apps.safety.faults import KINDS, Kind, inject
from ronghe.apps.safety.labels import Labels, read_labels, read_zones
from ronghe.apps.safety.settings import Health, Vote, ZoneOptions, ZoneSpec
from ronghe.apps.safety.trial import Judged, Setting, Trial
from ronghe.errors import AppError
from ronghe.picture import Picture, find, read
from ronghe.picture.folder import is_picture
from ronghe.picture.health import Kind as Wrong
from ronghe.picture.libraries import opencv
from ronghe.signals.when import format_time
from ronghe.text import Text, language

_START = 1_700_000_000_000_000_000  # ns: recordings carry no time of day
_BEFORE, _AFTER = 8.0, 4.0  # s of the sequence that are shown before and after a fault


def _t(en: str, zh: str) -> str:
    return str(Text(en, zh))


@click.group(help=_t("Safety: people in danger zones (advisory only).", "安全：危险区域人员监测（仅为辅助）。"))
def safety() -> None:
    """The group."""


class Faulted(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an injected camera fault; s from the fault, None where nothing came of it."""

    fault: str
    at_s: float
    alarm_s: float | None
    request_s: float | None
    why: str


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """The report."""

    source: str
    settings: dict[str, Any]
    result: ZoneReport | None
    faults: tuple[Faulted, ...]
    advisory: str


@safety.command(
    help=_t(
        "Watch SOURCE (a video, a folder of pictures, a camera's address or number); without SOURCE the labelled sequence that ships with "
        "Ronghe. With labels: recall, false alarms and times; else what happens, as it happens. ",
        "监测 SOURCE（视频、图像文件夹、摄像机地址或编号）；省略则使用随 Ronghe 提供的带标注序列。"
        "有标注时给出召回率、误报与时间，否则逐条输出事件。",
    )
    + str(ADVISORY)
)
@click.argument("source", required=False)
@click.option("--zones", type=click.Path(path_type=Path), help=_t("JSON of the zones; else those of the labels", "区域 JSON；默认取自标注"))
@click.option("--labels", type=click.Path(path_type=Path), help=_t("JSON of who is where", "标注 JSON"))
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="KIND@SECONDS",
    help=_t(f"camera fault to put in: {', '.join(KINDS)}", f"注入摄像机故障：{'、'.join(KINDS)}"),
)
@click.option(
    "--sure",
    type=click.FloatRange(0, 1),
    default=ZoneOptions().sure,
    show_default=True,
    help=_t("score that begins a track", "新轨迹所需得分"),
)
@click.option(
    "--doubtful",
    type=click.FloatRange(0, 1),
    default=ZoneOptions().doubtful,
    show_default=True,
    help=_t("score that continues one", "延续轨迹所需得分"),
)
@click.option(
    "--vote", default="2/3", show_default=True, metavar="N/M", help=_t("inside in N of the last M pictures", "最近 M 帧中有 N 帧在区域内")
)
@click.option(
    "--fps",
    type=click.FloatRange(0.1, 60),
    default=None,
    help=_t("of a folder; judged a second at most", "文件夹的帧率；每秒最多判断的帧数"),
)
@click.option(
    "--ignore", multiple=True, type=click.Choice(get_args(Wrong)), help=_t("camera condition not to watch for", "不检查的摄像机异常")
)
@click.option("--first", type=click.IntRange(min=1), help=_t("only the first pictures", "仅前若干帧"))
@click.option("--json", "as_json", is_flag=True, help=_t("for programs", "供程序读取"))
def watch(
    source: str | None,
    zones: Path | None,
    labels: Path | None,
    faults: tuple[str, ...],
    sure: float,
    doubtful: float,
    vote: str,
    fps: float | None,
    ignore: tuple[Wrong, ...],
    first: int | None,
    as_json: bool,
) -> None:
    """Runs the app itself."""
    with as_file(files("ronghe.demo") / "data" / "safety") as shipped:
        if source is None:
            source, labels = str(shipped / "test.mp4"), labels or shipped / "test.json.gz"
        known = read_labels(labels) if labels is not None else None
        if zones is None and known is None:
            raise AppError(Text("there are no zones", "未给出区域"), todo=Text("give --zones or --labels", "请用 --zones 或 --labels 指定"))
        setting = Setting(
            zones=read_zones(zones) if zones is not None else _zones_of(known),
            sure=sure,
            doubtful=min(doubtful, sure),
            vote=_vote(vote),
            fps=fps or (known.fps if known else ZoneOptions().fps),
            health=Health(ignore=ignore),
        )
        wanted = [_fault(f) for f in faults]
        rate = fps or (known.fps if known else 0.0)
        if known is None and not wanted:
            _tell(source, setting, rate, first, as_json)
            return
        told = Watched(
            source=source,
            settings={k: v for k, v in msgspec.to_builtins(setting).items() if k != "zones"},
            result=_evaluate(source, setting, known, first) if known is not None else None,
            faults=tuple(_faulted(source, setting, rate, kind, at) for kind, at in wanted),
            advisory=str(ADVISORY),
        )
        click.echo(msgspec.json.encode(told).decode() if as_json else _shown(told))


def _zones_of(labels: Labels | None) -> tuple[ZoneSpec, ...]:
    assert labels is not None
    return labels.zones


def _vote(text: str) -> Vote:
    n, _, m = text.partition("/")
    if not (n.isdigit() and m.isdigit() and 1 <= int(n) <= int(m) <= 50):
        raise AppError(Text(f"{text!r} is no vote", f"{text!r} 不是有效的表决"), where="--vote", todo=Text("e.g. 2/3", "例如 2/3"))
    return Vote(n=int(n), m=int(m))


def _fault(text: str) -> tuple[Kind, float]:
    kind, _, at = text.partition("@")
    try:
        seconds = float(at)
    except ValueError:
        seconds = math.nan
    for known in KINDS:
        if kind == known and 0 <= seconds < math.inf:
            return known, seconds
    todo = Text(f"e.g. dark@20; kinds: {', '.join(KINDS)}", f"例如 dark@20；种类：{'、'.join(KINDS)}")
    raise AppError(Text(f"{text!r} is no fault", f"{text!r} 不是有效的故障"), where="--fault", todo=todo)


# --- pictures ---------------------------------------------------------------------------------------------------------------------


def _pictures(source: str, fps: float, first: int | None = None, start: float = 0.0) -> Iterator[Picture]:
    """Of a recording, from `start` s on; the times are those of the recording."""
    path = Path(source)
    if path.is_dir() or is_picture(path.name):
        for i, file in enumerate(find(path)[:first]):
            if i >= start * (fps or 10.0):
                yield Picture("", _START + round(i / (fps or 10.0) * 1e9), i + 1, read(file), name=file.name)
        return
    cv2 = opencv()
    video = cv2.VideoCapture(source)
    if not video.isOpened():
        raise AppError(
            Text("no picture comes from it", "无法获取图像"), where=source, todo=Text("check the path or address", "请检查路径或地址")
        )
    rate = fps or video.get(cv2.CAP_PROP_FPS) or 10.0
    number = 0
    while number < (first or 2**62):
        there, pixels = video.read()
        if not there:
            break
        number += 1
        if (number - 1) / rate >= start:
            yield Picture("", _START + round((number - 1) / rate * 1e9), number, cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
    video.release()


def _camera(source: str) -> Iterator[Picture]:
    """Of a camera, as it gives them."""
    cv2 = opencv()
    video = cv2.VideoCapture(int(source) if source.isdigit() else source)
    if not video.isOpened():
        raise AppError(Text("the camera does not answer", "摄像机无应答"), where=source, todo=Text("check its address", "请检查地址"))
    number = 0
    while True:
        there, pixels = video.read()
        if not there:
            raise AppError(Text("the camera gives no more pictures", "摄像机不再给出图像"), where=source)
        number += 1
        yield Picture("", time.time_ns(), number, cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))


# --- runs -------------------------------------------------------------------------------------------------------------------------


def _evaluate(source: str, setting: Setting, labels: Labels, first: int | None) -> ZoneReport:
    with tempfile.TemporaryDirectory() as state:
        trial = Trial(setting, Path(state))
        judged = list(trial.run(_pictures(source, labels.fps, first)))
    shown = sum(j.picture is not None for j in judged)
    if shown > len(labels.frames):
        raise AppError(
            Text(f"{shown} pictures, but labels for {len(labels.frames)}", f"共 {shown} 帧，但标注只有 {len(labels.frames)} 帧"),
            where=source,
        )
    return report(labels, judged, longest_release(labels))


def _faulted(source: str, setting: Setting, fps: float, kind: Kind, at: float) -> Faulted:
    """The part of the sequence around a fault, with it."""
    start = max(0.0, at - _BEFORE)
    begins = _START + round(at * 1e9)
    shown = (p for p in _pictures(source, fps, start=start) if p.time < begins + _AFTER * 1e9)
    alarm = request = None
    why = ""
    with tempfile.TemporaryDirectory() as state:
        trial = Trial(setting, Path(state))

        def runs() -> Iterator[Judged]:
            yield from trial.run(inject(shown, kind, begins))
            yield from trial.silence(begins + round(_AFTER * 1e9))

        for j in runs():
            after = (j.time - begins) / 1e9 + j.wall
            for f in j.findings:
                if f.key.endswith("/unmonitored") and f.active and j.time >= begins and alarm is None:
                    alarm, why = round(after, 3), f.text.in_(language())
            if j.requests and j.time >= begins and alarm is not None and request is None:
                request = round(after, 3)
    return Faulted(fault=kind, at_s=at, alarm_s=alarm, request_s=request, why=why)


def _tell(source: str, setting: Setting, fps: float, first: int | None, as_json: bool) -> None:
    """What happens, as it happens."""
    live = "://" in source or source.isdigit() or source.startswith("/dev/")
    if not as_json:
        click.echo(str(ADVISORY))
    if live:
        setting = msgspec.structs.replace(setting, late=ZoneOptions().late)
    with tempfile.TemporaryDirectory() as state:
        trial = Trial(setting, Path(state))
        for j in trial.run(_camera(source) if live else _pictures(source, fps, first), live=live):
            at = format_time(j.time) if live else f"{(j.time - _START) / 1e9:9.2f} s"
            for f in j.findings:
                if as_json:
                    click.echo(msgspec.json.encode({"time": at.strip(), "finding": f}).decode())
                else:
                    click.echo(f"{at}  {'!' if f.active else ' '}  {f.text.in_(language())}")
            for a in j.requests:
                if as_json:
                    click.echo(msgspec.json.encode({"time": at.strip(), "request": a, "after_ms": round(j.wall * 1e3, 1)}).decode())
                else:
                    click.echo(
                        _t(
                            f"{at}  →  interlock requested, {j.wall * 1e3:.0f} ms after the picture",
                            f"{at}  →  已请求联锁，距图像 {j.wall * 1e3:.0f} ms",
                        )
                    )


# --- words ------------------------------------------------------------------------------------------------------------------------


def _shown(told: Watched) -> str:
    lines: list[str] = []
    if told.result is not None:
        lines += _result(told.result)
    for f in told.faults:
        alarm = "–" if f.alarm_s is None else f"{f.alarm_s:.2f} s"
        request = "–" if f.request_s is None else f"{f.request_s:.2f} s"
        lines.append(
            _t(
                f"camera {f.fault} at {f.at_s:g} s: alarm after {alarm}, request after {request}",
                f"{f.at_s:g} s 注入故障 {f.fault}：{alarm} 后报警，{request} 后请求联锁",
            )
            + (f" ({f.why})" if f.why else "")
        )
    return "\n".join([*lines, "", told.advisory])


def _result(r: ZoneReport) -> list[str]:
    rate = r.false_alarms_per_hour
    rows = [
        (_t("pictures", "帧数"), f"{r.pictures} ({r.seconds:.0f} s)"),
        (_t("stays in a zone, found", "进入区域事件，检出"), f"{r.events}, {r.events_found} ({r.event_recall:.1%})"),
        (_t("pictures: recall, precision", "按帧：召回率、精确率"), f"{r.picture_recall:.1%}, {r.picture_precision:.1%}"),
        (
            _t("false alarms", "误报"),
            _t(
                f"{r.false_alarms}: {rate:.0f} an hour (95 %: at most {r.false_alarms_per_hour_upper95:.0f})",
                f"{r.false_alarms} 次：每小时 {rate:.0f} 次（95% 上限 {r.false_alarms_per_hour_upper95:.0f}）",
            ),
        ),
        (_t("camera said not to see", "误判摄像机失效"), str(r.unmonitored_alarms)),
        (_t("people: recall, precision", "人员检测：召回率、精确率"), f"{r.people_recall:.1%}, {r.people_precision:.1%} ({r.people})"),
        (_t("first step inside → finding, s", "踏入区域 → 报警，s"), _points(r.reaction_s)),
        (_t("picture → request, ms", "图像 → 请求，ms"), _points(r.picture_to_request_ms)),
        (_t("picture → result, ms", "图像 → 结果，ms"), _points(r.picture_to_result_ms)),
        (_t("processor time a picture, ms", "每帧 CPU 时间，ms"), _points(r.cpu_ms)),
        (_t("load of this machine by it", "本机负荷"), f"{r.load:.0%}"),
    ]
    return [f"{name}: {value}" for name, value in rows]


def _points(s: Spread) -> str:
    return "–" if s.p50 is None or s.p99 is None else f"p50 {s.p50:.3g}, p99 {s.p99:.3g}"
