"""What inspection on a line says, in both languages."""

from __future__ import annotations

from typing import Final

from ronghe.apps.advising.wording import number, spaced
from ronghe.apps.quality.boards import template
from ronghe.apps.quality.line.drift import NAMES, Kind
from ronghe.apps.quality.line.rates import Rise
from ronghe.text import Text

_CLASSES: Final = {name.en: name.zh for name in template.NAMES.values()}
"""Classes whose Chinese name is known; others are called as whoever labelled them did."""

VERDICTS = ("pass", "review", "reject", "unreadable")


_SIGNALS: Final = {
    "score": Text("score", "得分"),
    "verdict": Text("verdict", "判定"),
    "rejected": Text("rejected", "剔除"),
    "yield": Text("yield", "良率"),
    "reject_rate": Text("reject rate", "剔除率"),
    "unreadable_rate": Text("rate of parts that could not be seen", "无法识别率"),
    "learned": Text("learned", "示教进度"),
    "recipe": Text("recipe looked for", "检测所用配方"),
    "first_piece": Text("first piece", "首件"),
}


def signal(name: str) -> Text:
    """What people call a signal of the app; `rate_CLASS` are made of the names of classes."""
    if name.startswith("rate_"):
        kind = name.removeprefix("rate_")
        return Text(f"rate of {kind}", spaced(f"{_CLASSES.get(kind, kind)}率"))
    return _SIGNALS.get(name) or Text(name, name)


def share(value: float) -> str:
    """ "1.25 %"."""
    return f"{number(100 * value)} %"


def event(kind: str) -> Text:
    """What a watched rate counts."""
    if kind == "reject":
        return Text("rejected parts", "剔除件")
    if kind == "unreadable":
        return Text("parts that could not be seen", "无法识别的工件")
    return Text(f"parts with {kind}", f"“{_CLASSES.get(kind, kind)}”缺陷件")


def risen(kind: str, rise: Rise, place: Text) -> Text:
    """A rate that has gone up."""
    what = event(kind)
    return Text(
        f"{place.en}: {what.en} have become more frequent: {rise.events} of the last {rise.parts} ({share(rise.rate)});"
        f" usual is at most {share(rise.usual)}",
        spaced(
            f"{place.in_('zh')}：{what.zh}增多：最近 {rise.parts} 件中有 {rise.events} 件（{share(rise.rate)}）；"
            f"平时不超过 {share(rise.usual)}"
        ),
    )


def usual_again(kind: str, place: Text) -> Text:
    """It is back."""
    what = event(kind)
    return Text(f"{place.en}: {what.en} are as frequent as usual again", spaced(f"{place.in_('zh')}：{what.zh}已恢复到平时水平"))


def look_after(kind: str) -> Text:
    """What to do about a rate."""
    if kind == "unreadable":
        return Text("See camera, lens, light and trigger", "请检查相机、镜头、光源和触发")
    return Text(
        "See the latest rejected parts and where they are marked, then the process before it",
        "请查看最近的剔除件及标记位置，并检查前道工序",
    )


def higher(level: float, usual: float, place: Text) -> Text:
    """The scores of passed parts drift."""
    return Text(
        f"{place.en}: parts that pass look less like the good ones than before (mean score {number(level)}, usual {number(usual)};"
        " 1 is the limit)",
        spaced(f"{place.in_('zh')}：合格件与良品的差异在增大（平均得分 {number(level)}，平时 {number(usual)}；限值为 1）"),
    )


def level_again(place: Text) -> Text:
    """They are back."""
    return Text(f"{place.en}: the scores of passed parts are as usual again", spaced(f"{place.in_('zh')}：合格件得分已恢复到平时水平"))


def drifts(kind: Kind, now: float, usual: float, place: Text) -> Text:
    """The pictures themselves change."""
    name = NAMES[kind]
    return Text(
        f"{place.en}: the {name.en} of the pictures has drifted from {number(usual)} to {number(now)}: judgements may no longer hold",
        spaced(f"{place.in_('zh')}：图像{name.zh}已由 {number(usual)} 漂移到 {number(now)}：判断可能不再可靠"),
    )


def settled(kind: Kind, place: Text) -> Text:
    """They are as they were."""
    name = NAMES[kind]
    return Text(f"{place.en}: the {name.en} of the pictures is as usual again", spaced(f"{place.in_('zh')}：图像{name.zh}已恢复正常"))


def mend(kind: Kind) -> Text:
    """What to do about it."""
    return {
        "light": Text("Clean and check the lamps and the exposure", "请清洁并检查光源和曝光设置"),
        "contrast": Text("Clean the lens; check light and aperture", "请清洁镜头，检查光源和光圈"),
        "focus": Text("Focus again; clean the lens; check the distance to the part", "请重新对焦、清洁镜头，检查工作距离"),
        "colour": Text("Check the lamps and the white balance", "请检查光源和白平衡"),
        "position": Text("Check fixture, trigger and camera mount", "请检查工装、触发位置和相机支架"),
    }[kind]


def camera(seconds: float, why: Text, place: Text) -> Text:
    """No good picture for long."""
    return Text(
        f"{place.en}: no usable picture for {number(seconds)} s: {why.en}; parts are not being inspected",
        spaced(f"{place.in_('zh')}：已 {number(seconds)} 秒没有可用图像：{why.in_('zh')}；工件未被检测"),
    )


def camera_again(place: Text) -> Text:
    """There are pictures again."""
    return Text(f"{place.en}: pictures are usable again", spaced(f"{place.in_('zh')}：图像已恢复"))


def missed(parts: int, place: Text) -> Text:
    """Picture numbers are missing."""
    return Text(
        f"{place.en}: {parts} part(s) went by that nobody inspected: their pictures did not arrive or came too fast",
        spaced(f"{place.in_('zh')}：有 {parts} 件未被检测：图像未到达或到达过快"),
    )


def none_missed(place: Text) -> Text:
    """Numbers follow each other again."""
    return Text(f"{place.en}: every part is being inspected again", spaced(f"{place.in_('zh')}：已恢复逐件检测"))


def kept_again() -> Text:
    """It is written again."""
    return Text("parts are being kept again", "工件记录已恢复保存")


def nothing_to_see(reason: Text | None) -> Text:
    """A part without a picture."""
    return reason or Text("there is no picture", "没有图像")


def other_size(is_: tuple[int, int], taught: tuple[int, int]) -> Text:
    """A picture of another size."""
    return Text(
        f"the picture is {is_[0]} × {is_[1]} pixels, those it was taught with were {taught[0]} × {taught[1]}",
        f"图像为 {is_[0]} × {is_[1]} 像素，训练图像为 {taught[0]} × {taught[1]} 像素",
    )
