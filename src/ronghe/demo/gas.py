"""Three chlorine sensors over the etching bath, as one Modbus unit shows them. Nothing here is recorded.

Input registers, big-endian float32, ppm: 0 first sensor, 2 second, 4 third. The air has 0.03 ppm, with a swing of minutes; at `FAILS` the
second sensor goes to its end, as one does whose cell has dried out. One sensor of three is no gas.
"""

from __future__ import annotations

import math
import struct

AIR, SWING, NOISE = 0.03, 0.01, 0.002  # ppm
FAILS = 150.0  # s; when the other stories have been told
END = 2.0  # ppm, of the sensors' range


def frame(running: float) -> tuple[int, ...]:
    """The six registers after `running` seconds."""
    values = [AIR + SWING * math.sin(running / 37 + i) + NOISE * math.sin(running * (7 + 3 * i)) for i in range(3)]
    if running >= FAILS:
        values[1] = END
    return struct.unpack(">6H", struct.pack(">3f", *values))
