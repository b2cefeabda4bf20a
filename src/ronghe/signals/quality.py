"""Quality of a sample: an OPC UA StatusCode (OPC 10000-4, 7.39), a `uint32` whose two top bits are the severity.

00 Good, 01 Uncertain, 10 Bad. Every protocol's own notion of quality is mapped to these codes at the driver.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ronghe.text import Text

GOOD: Final = 0x00000000
UNCERTAIN: Final = 0x40000000
UNCERTAIN_LAST_USABLE: Final = 0x40900000
UNCERTAIN_SUBSTITUTE: Final = 0x40910000
UNCERTAIN_RANGE: Final = 0x40940000  # EngineeringUnitsExceeded
BAD: Final = 0x80000000
BAD_NO_COMMUNICATION: Final = 0x80310000
BAD_WAITING: Final = 0x80320000  # WaitingForInitialData
BAD_NODE_UNKNOWN: Final = 0x80340000
BAD_NOT_READABLE: Final = 0x803A0000
BAD_NOT_WRITABLE: Final = 0x803B0000
BAD_OUT_OF_RANGE: Final = 0x803C0000
BAD_CONFIGURATION: Final = 0x80890000
BAD_DEVICE_FAILURE: Final = 0x808B0000
BAD_SENSOR_FAILURE: Final = 0x808C0000
BAD_OUT_OF_SERVICE: Final = 0x808D0000
BAD_TIMEOUT: Final = 0x800A0000
BAD_TYPE_MISMATCH: Final = 0x80740000
BAD_DECODING: Final = 0x80070000
BAD_NOT_SENT: Final = 0x802C0000  # RequestCancelledByClient

REASONS: Final[dict[int, Text]] = {
    GOOD: Text("good", "良好"),
    UNCERTAIN: Text("uncertain", "不确定"),
    UNCERTAIN_LAST_USABLE: Text("stale: last usable value", "陈旧：最后可用值"),
    UNCERTAIN_SUBSTITUTE: Text("substituted by hand", "人工替代值"),
    UNCERTAIN_RANGE: Text("outside its range", "超出量程"),
    BAD: Text("bad", "坏值"),
    BAD_NO_COMMUNICATION: Text("no communication with the device", "与设备通信中断"),
    BAD_WAITING: Text("no value received yet", "尚未收到数据"),
    BAD_NODE_UNKNOWN: Text("the device knows no such address", "设备中无此地址"),
    BAD_NOT_READABLE: Text("not readable", "不可读"),
    BAD_NOT_WRITABLE: Text("not writable", "不可写"),
    BAD_OUT_OF_RANGE: Text("out of range", "超出范围"),
    BAD_CONFIGURATION: Text("configuration error", "配置错误"),
    BAD_DEVICE_FAILURE: Text("device failure", "设备故障"),
    BAD_SENSOR_FAILURE: Text("sensor failure", "传感器故障"),
    BAD_OUT_OF_SERVICE: Text("out of service", "停用"),
    BAD_TIMEOUT: Text("the device did not answer in time", "设备应答超时"),
    BAD_TYPE_MISMATCH: Text("value of another type than the dictionary says", "数据类型与字典不符"),
    BAD_DECODING: Text("the answer could not be decoded", "应答无法解码"),
    BAD_NOT_SENT: Text("called off before it was sent", "发送前已取消"),
}

_NAMES: Final = {0: "good", 1: "uncertain", 2: "bad", 3: "bad"}


def severity(code: int) -> str:
    """ "good", "uncertain" or "bad"."""
    return _NAMES[(int(code) >> 30) & 3]


def reason(code: int) -> Text:
    """Why a value is not good, in words; falls back to the severity and the code in hexadecimal."""
    code = int(code) & 0xFFFF0000
    known = REASONS.get(code)
    if known is not None:
        return known
    base = REASONS[{"good": GOOD, "uncertain": UNCERTAIN, "bad": BAD}[severity(code)]]
    return Text(f"{base.en} (0x{code:08X})", f"{base.zh}（0x{code:08X}）")


def is_good(codes: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Mask of the good samples."""
    good: NDArray[np.bool_] = codes < 0x40000000
    return good


def is_bad(codes: NDArray[Any]) -> NDArray[np.bool_]:
    """Mask of the bad samples (severity 10 or 11)."""
    bad: NDArray[np.bool_] = codes >= 0x80000000
    return bad
