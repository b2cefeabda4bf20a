"""A session: connected and logged in, with the server's namespaces and limits known; reads, writes and asks in batches."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Awaitable, Callable, Iterator, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from asyncua import ua
from asyncua.ua.uaerrors import UaError

from ronghe.connect.opcua import messages, refusals, trust, wire
from ronghe.connect.opcua.binary import bad_frame
from ronghe.connect.opcua.columns import Columns
from ronghe.connect.opcua.options import Options
from ronghe.errors import ConnectError
from ronghe.text import Text

_T = TypeVar("_T")
_S = TypeVar("_S", bound=Sized)
_IDS: Final = ua.ObjectIds
_LIMITS: Final = {
    "read": _IDS.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead,
    "write": _IDS.Server_ServerCapabilities_OperationLimits_MaxNodesPerWrite,
    "browse": _IDS.Server_ServerCapabilities_OperationLimits_MaxNodesPerBrowse,
    "monitor": _IDS.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall,
    "history": _IDS.Server_ServerCapabilities_OperationLimits_MaxNodesPerHistoryReadData,
}
_OURS: Final = {"read": 1000, "write": 500, "browse": 500, "monitor": 1000, "history": 100}
"""Most nodes in one request, whatever the server allows: answers stay small enough for small devices."""
_SAME_CLOCK: Final = 2_000_000_000  # ns; below this a difference is the time that connecting took


@dataclass(slots=True)
class Session:
    """An open session. `namespaces` by index; `limits` nodes in a request, by service; `ahead` ns, server's clock minus ours."""

    wire: wire.Wire
    options: Options
    namespaces: list[str]
    limits: dict[str, int]
    ahead: int = 0

    async def read(self, nodes: Sequence[ua.NodeId]) -> list[Columns]:
        """The values of nodes, now; several columns in the order of the nodes. Raises ConnectError."""
        out = []
        for some in chunks(nodes, self.limits["read"]):
            request = ua.ReadRequest()
            request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
            request.Parameters.NodesToRead = [ua.ReadValueId(n, ua.AttributeIds.Value) for n in some]
            out.append(complete(await self.raw(request, messages.read), len(some)))
        return out

    async def attributes(self, nodes: Sequence[tuple[ua.NodeId, ua.AttributeIds]]) -> list[Any]:
        """One attribute of each node, decoded; None where it is bad. Raises ConnectError."""
        return [v.Value.Value if v.Value and is_good(v) else None for v in await self.data_values(nodes)]

    async def data_values(self, nodes: Sequence[tuple[ua.NodeId, ua.AttributeIds]]) -> list[ua.DataValue]:
        """One attribute of each node, with its status and type. Raises ConnectError."""
        out: list[ua.DataValue] = []
        for some in chunks(nodes, self.limits["read"]):
            request = ua.ReadRequest()
            request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Neither
            request.Parameters.NodesToRead = [ua.ReadValueId(n, a) for n, a in some]
            out += complete((await self.ask(request, ua.ReadResponse)).Results, len(some))
        return out

    async def write(self, values: Sequence[tuple[ua.NodeId, ua.Variant]]) -> list[int]:
        """Writes in order; the status of each. Raises ConnectError."""
        out: list[int] = []
        for some in chunks(values, self.limits["write"]):
            request = ua.WriteRequest()
            # Value alone: many devices refuse a write that also sets status or time.
            request.Parameters.NodesToWrite = [
                ua.WriteValue(NodeId=n, AttributeId=ua.AttributeIds.Value, Value=ua.DataValue(v, StatusCode=None)) for n, v in some
            ]
            results = complete((await self.ask(request, ua.WriteResponse)).Results, len(some))
            out += [int(r.value) for r in results]
        return out

    async def raw(self, request: Any, decode: Callable[[bytes], _T]) -> _T:
        """A service whose answer is decoded from its bytes. Raises ConnectError."""

        async def call() -> _T:
            return decode(await self.wire.raw(request))

        return await self.guarded(call())

    async def ask(self, request: Any, answer: type[_T]) -> _T:
        """Any other service, decoded. Raises ConnectError."""
        return await self.guarded(self.wire.ask(request, answer))

    async def guarded(self, call: Awaitable[_T]) -> _T:
        """Awaits a call of the wire; what it raises becomes a ConnectError."""
        try:
            return await call
        except messages.ServiceError as e:
            raise refusals.explained(ua.UaStatusCodeError(e.code), self.options, None) from e
        except (*wire.FAILURES, UaError) as e:
            raise refusals.explained(e, self.options, None) from e

    async def close(self) -> None:
        """Never raises."""
        await self.wire.close()


def complete(answers: _S, asked: int) -> _S:
    """The answers, when there is one for each thing asked. Raises BadFrame."""
    if len(answers) != asked:
        raise bad_frame(f"{len(answers)} answers to {asked} questions", 0)
    return answers


def is_good(value: ua.DataValue) -> bool:
    """A DataValue without status is Good."""
    return value.StatusCode is None or value.StatusCode.is_good()


def chunks(things: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    """Consecutive parts of at most `size`."""
    for start in range(0, len(things), size):
        yield things[start : start + size]


async def connect(options: Options, now: int) -> Session:
    """Connects and logs in, at `now` (ns). Raises Unreachable, Rejected (Fixable where a person can mend it meanwhile), ConnectError."""
    date = datetime.datetime.fromtimestamp(now / 1e9, datetime.UTC)
    link = wire.Wire(options.url, options.timeout)
    certificate: Path | None = None
    if options.security != "None":
        certificate = await _secure(link, options, date)
    if options.user_certificate:
        await link.user_certificate(Path(options.user_certificate), Path(options.user_key))
    elif options.user:
        link.user(options.user, options.password)
    try:
        await link.open()
    except wire.FAILURES as e:
        error = refusals.explained(e, options, certificate)
        code = wire.code_of(e)
        if code in refusals.POLICY or (code is None and not isinstance(e, OSError | asyncio.TimeoutError)):
            error = await _why(options, error)
        raise error from e
    session = Session(link, options, [], dict(_OURS))
    try:
        await _learn(session, now)
    except BaseException:
        await session.close()
        raise
    return session


async def _secure(link: wire.Wire, options: Options, date: datetime.datetime) -> Path:
    """Sets up signing and encryption, once the server's certificate is trusted; the file of our own certificate."""
    policy, _, mode = options.security.partition("/")
    certificate, key = trust.own(options, date)
    try:
        endpoints = await link.endpoints()
    except wire.FAILURES as e:
        raise refusals.explained(e, options, None) from e
    wanted = wire.POLICIES[policy].URI, getattr(ua.MessageSecurityMode, mode)
    match = [e for e in endpoints if (e.SecurityPolicyUri, e.SecurityMode) == wanted]
    if not match:
        raise refusals.not_offered(options, endpoints)
    server = wire.server_certificate(match[0])
    trust.check(server, options, date)
    uri = trust.application_uri(trust.read_certificate(certificate))
    await link.security(policy, mode, certificate, key, server, uri)
    return certificate


async def _why(options: Options, error: ConnectError) -> ConnectError:
    """A better word for a refusal without a code: the server may simply not offer what was asked for."""
    try:
        endpoints = await wire.Wire(options.url, options.timeout).endpoints()
    except wire.FAILURES:
        return error
    policy, _, mode = options.security.partition("/")
    uri = wire.POLICIES[policy].URI if mode else "http://opcfoundation.org/UA/SecurityPolicy#None"
    if not any(e.SecurityPolicyUri == uri for e in endpoints):
        return refusals.not_offered(options, endpoints)
    return error


async def _learn(session: Session, now: int) -> None:
    async def read(ids: Sequence[int]) -> list[Any]:
        return await session.attributes([(ua.NodeId(ua.UInt32(i)), ua.AttributeIds.Value) for i in ids])

    first = await read([_LIMITS["read"]])  # alone: it may be 1
    _limit(session, "read", first[0])
    names, clock, *limits = await read([_IDS.Server_NamespaceArray, _IDS.Server_ServerStatus_CurrentTime, *_LIMITS.values()])
    if not isinstance(names, list):
        raise ConnectError(
            Text("the server does not tell its namespaces", "服务器未提供命名空间列表"),
            where=session.options.url,
            todo=Text("it may still be starting; it is tried again", "服务器可能仍在启动；将自动重试"),
        )
    session.namespaces = [str(v) for v in names]
    if isinstance(clock, datetime.datetime):
        ahead = int(clock.replace(tzinfo=datetime.UTC).timestamp() * 1e9) - now
        session.ahead = ahead if abs(ahead) > _SAME_CLOCK else 0
    for name, limit in zip(_LIMITS, limits, strict=True):
        _limit(session, name, limit)


def _limit(session: Session, name: str, limit: Any) -> None:
    if isinstance(limit, int) and limit > 0:
        session.limits[name] = min(limit, _OURS[name])
