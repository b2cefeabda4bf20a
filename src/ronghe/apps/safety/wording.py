"""What safety.zone says, in both languages."""

from __future__ import annotations

from collections.abc import Sequence

from ronghe.text import Text

LOOK = Text(
    "Make sure that nobody is in danger; start the machine again at the machine only.", "确认无人处于危险中；只允许在机旁重新启动设备。"
)
SEE_TO_CAMERA = Text(
    "Treat the zones as unguarded; look at the camera, its light and its cable.", "按无监护区域处理；请检查摄像机、照明和线缆。"
)
SEE_TO_GUARD = Text(
    "Stop the machine at the machine; then see why the request was not carried out.", "请先在机旁停机，再查明请求未执行的原因。"
)


def intrusion(zone: str, machine: Text, people: int) -> Text:
    """Somebody is in a zone."""
    persons = f"{people} persons are" if people != 1 else "a person is"
    return Text(f"{persons} in the danger zone {zone} of {machine.en}", f"{machine.in_('zh')}的危险区域“{zone}”内有 {people} 人")


def clear(zone: str, machine: Text) -> Text:
    """Nobody is any more."""
    return Text(f"nobody is in the danger zone {zone} of {machine.en} any more", f"{machine.in_('zh')}的危险区域“{zone}”内已无人")


def inactive(zone: str, machine: Text) -> Text:
    """The zone is not in force."""
    return Text(f"the danger zone {zone} of {machine.en} is not active now", f"{machine.in_('zh')}的危险区域“{zone}”当前未启用")


def unmonitored(zones: Sequence[str], why: Text) -> Text:
    """The camera does not see."""
    names = Text(", ".join(zones) or "none", "、".join(zones) or "无")
    return Text(f"the danger zones are not monitored ({names.en}): {why.en}", f"危险区域未受监测（{names.zh}）：{why.in_('zh')}")


def monitored() -> Text:
    """It sees again."""
    return Text("the danger zones are monitored again", "危险区域已恢复监测")


def not_carried_out(tag: str, why: Text) -> Text:
    """An interlock request had no effect in its time."""
    return Text(f"the interlock request for {tag} is not in force in time: {why.en}", f"{tag} 的联锁请求未按时生效：{why.in_('zh')}")


def carried_out(tag: str) -> Text:
    """It has, or is no longer asked for."""
    return Text(f"the interlock request for {tag} is in force, or over", f"{tag} 的联锁请求已生效或已结束")


def over() -> Text:
    """A condition said before a restart is not so any more."""
    return Text("over: not seen again since the restart", "已结束：重启后未再出现")
