"""What the centre and a node tell one another: the centre what it wants, the node what runs. Hashes and names, nothing of their content.

The node asks (`GET /fleet/wanted?since=N`, held until there is something new or 25 s are over) and tells (`POST /fleet/report`), both over
one outbound HTTPS connection with its certificate: no port is opened at the node.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from ronghe.text import Text


class Joining(msgspec.Struct, frozen=True, kw_only=True):
    """A node's request to join (`POST /fleet/join`). Its private key stays where it was made; only the request (PEM, PKCS #10) leaves."""

    secret: str  # of the token, hex
    plant: str  # path of the plant folder that joins
    title: Text
    request: str


class Joined(msgspec.Struct, frozen=True, kw_only=True):
    """The centre's answer, to joining and to renewing: a certificate (PEM) for the node's key, and where the hub is."""

    node: str
    plant: str
    certificate: str
    renew: int  # when the certificate is to be renewed, ns since 1970 UTC
    hub: str
    trusted: tuple[str, ...] = ()


class WantedModel(msgspec.Struct, frozen=True, kw_only=True):
    """This app is to run this package. `serial` grows with every release of a name: an older one is a replay and is refused.

    An empty `hash`: it is to run what its plant folder names, as before it was ever given one.
    """

    app: str
    name: str
    version: str
    hash: str  # of the package's manifest: what is signed
    file: str  # SHA-256 of the package's zip, whole
    size: int  # bytes of the zip
    serial: int
    slowest_ms: float | None = None  # refused when one run takes longer on the node's own hardware
    proof: str = ""  # JSON of `models.statement.Proof`: the signed release, and how its key came in
    back: bool = False  # to what ran before: the node still has it, and takes nothing else that is older


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A question to be answered in the next report: remote diagnosis. What may be asked is the node's to say, never a command line."""

    id: str
    what: str  # logs | metrics | drivers | apps | disk | threads | ping
    options: dict[str, Any] = {}


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """All that the centre wants of a node. `revision` grows with every change; `configuration` is the hash of a plant folder, or empty."""

    revision: int
    configuration: str = ""
    models: tuple[WantedModel, ...] = ()
    trusted: tuple[str, ...] = ()  # hex of the Ed25519 keys whose packages run here
    orders: tuple[Order, ...] = ()


class RunningModel(msgspec.Struct, frozen=True, kw_only=True):
    """What an app runs now, and how its last change went: `refused` and `rolled_back` say why in `text`."""

    app: str
    name: str = ""
    version: str = ""
    hash: str = ""
    state: Literal["running", "fetching", "checking", "refused", "rolled_back", "failed"] = "running"
    text: Text | None = None
    wanted: str = ""  # hash of the package that `state` speaks of
    switch_ms: float | None = None  # how long the last switch took
    run_ms: float | None = None  # p99 of one run, measured here


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A connection as measured: round trip (median, p99) and its jitter in ms, lost share 0..1, bandwidth in bit/s; None: not measured."""

    rtt_ms: float
    p99_ms: float
    jitter_ms: float
    loss: float
    bps: float | None = None
    at: int = 0  # ns


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """How a node is. Times in ns since 1970 UTC."""

    node: str
    plant: str
    at: int
    version: str  # of Ronghe
    started: int
    configuration: str = ""  # hash of the plant folder that runs
    changed: tuple[str, ...] = ()  # files that somebody changed by hand since
    models: tuple[RunningModel, ...] = ()
    metrics: dict[str, float] = {}  # by Prometheus name, e.g. ronghe_outbox_messages
    alarms: dict[str, int] = {}  # active, by priority
    link: Link | None = None
    log: tuple[tuple[int, str, str], ...] = ()  # (ns, level, line) since the last report
    answers: dict[str, Any] = {}  # by order id
    placement: Any = None  # what `models.placement` says, JSON
    said: Text | None = None  # why the wanted configuration does not run
