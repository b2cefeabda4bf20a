"""The driver contract: browse, acquire, read, write.

A driver speaks one protocol with one device. It knows no plant: it is given its own options and `Item`s, and hands batches to a sink in
the device's units (scaling and units are applied at the boundary, `ronghe.connect.boundary`). Third parties add one with an entry point
in the group `ronghe.drivers` whose object is the driver class.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

import msgspec

from ronghe.picture import Picture
from ronghe.plant.model import ValueType
from ronghe.signals import Batch, TagIndex
from ronghe.text import Text

Sink = Callable[[Batch], None]
"""Takes a batch, returns at once, never raises; called in the driver's event loop."""

Show = Callable[[Picture], None]
"""Takes a picture, returns at once, never raises; called in the driver's event loop, after the sink has its sample."""

Still = Callable[[], bool]
"""Whether a write may still be sent. Asked in the driver's event loop; returns at once."""


def _unseen(picture: Picture) -> None:
    """A `Show` for drivers that nobody looks at."""


def always() -> bool:
    """A `Still` that never calls anything off."""
    return True


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One address to acquire. `id` is the tag's id in the driver's `TagIndex`."""

    id: int
    address: str
    every: float = 1.0  # s
    type: ValueType = "float"


class Write(msgspec.Struct, frozen=True, kw_only=True):
    """One value to write, in the device's units."""

    address: str
    value: float | str
    type: ValueType = "float"


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One readable thing found by browsing. `path` is its human path in the device, "/" between parts."""

    address: str
    path: str
    type: ValueType = "float"
    unit: str = ""  # UCUM where the device says it
    writable: bool = False
    value: float | str | None = None
    description: str = ""


class Health(msgspec.Struct, kw_only=True):
    """How a connection is. Mutable; the driver keeps it up to date, anyone may read it."""

    state: Literal["connecting", "up", "down", "stopped"] = "connecting"
    since: int = 0  # ns, when this state began
    reason: Text | None = None  # why it is not up
    delivered: int = 0  # samples handed to the sink
    lag: float = 0.0  # s, now − source time of the newest sample of the last batch
    lag_max: float = 0.0  # s, over the last minute
    reconnects: int = 0
    dropped: int = 0  # samples known to be lost (queue overflow in the device, gaps that could not be backfilled)
    backfilled: int = 0  # samples fetched from the device's history after a gap


class Driver(ABC):
    """One connection to one device.

    Life: construct (no input/output) → `run` (or `browse`, `read`, `write`, which connect by themselves) → `close`.
    """

    name: ClassVar[str]
    """As in `driver = "…"` of plant.toml."""
    Options: ClassVar[type[msgspec.Struct]]
    """What a `[connections.NAME]` table of this driver may hold; parsed and checked with the plant folder.

    A field of type `pathlib.Path`, or a text whose `Meta` has `extra={"path": True}`, is made a path below the plant folder (words listed
    in the extra's "except", and what begins with one of its "unless", are left alone). A `__post_init__` may
    raise a RongheError or ValueError for what does not fit together.
    """
    by_exception: ClassVar[bool] = False
    """True where the device reports changes only: while the connection is up, a value that was not reported again is still current."""

    gives_pictures: ClassVar[bool] = False
    """Whether it acquires items of type "image": a sample for each picture, its value the picture's number, and the picture by `show`."""

    def __init__(self, options: Any, index: TagIndex) -> None:
        self.options = options
        self.index = index
        self.health = Health()
        self.show: Show = _unseen
        """Takes every picture. Whoever runs the driver may set it before `run`."""

    @classmethod
    def check_address(cls, address: str, type: ValueType) -> Text | None:
        """What is wrong with an address as written, or None. No input/output."""
        return None

    @abstractmethod
    async def run(self, items: Sequence[Item], sink: Sink) -> None:
        """Acquires until cancelled.

        A lost device is never an error here: the driver hands the sink, once for each item, a sample with value NaN, quality
        BadNoCommunication and the time of detection, keeps `health` true, reconnects with growing pauses (at most 30 s), and backfills
        the gap from the device's history where it has one. An address that the device does not know yields BadNodeIdUnknown for that
        item alone. Raises `Rejected` or `BadAddress` only where waiting cannot help and nothing at all can be acquired.
        """

    @abstractmethod
    async def read(self, items: Sequence[Item]) -> Batch:
        """One sample an item, now, in the fewest requests. Raises ConnectError when the device cannot be reached."""

    @abstractmethod
    async def write(self, writes: Sequence[Write], *, still: Still = always) -> list[int]:
        """Writes in order; gives one OPC UA StatusCode a write (Good only when the device confirmed it). Raises ConnectError.

        Connecting, waiting for a line that is busy and looking up types may take seconds, and what allowed a write may end meanwhile. So
        `still` is asked right before each request that changes the device goes out, with nothing waited for in between, and before it is
        sent again; where the answer is no, nothing goes out and the code is BadRequestCancelledByClient, unless an earlier attempt may have
        reached the device: then it is that attempt's.
        """

    def held(self, write: Write) -> float | str:
        """What the device will hold of a write that it takes, in its units: another number where the driver rounds to the resolution of a
        register. No input/output."""
        return write.value

    @abstractmethod
    async def browse(self, under: str = "") -> list[Found]:
        """What the device offers, below an address or path. Raises ConnectError; an empty list where a protocol cannot be browsed."""

    async def close(self) -> None:
        """Lets go of the device. Safe to call twice."""
        return None
