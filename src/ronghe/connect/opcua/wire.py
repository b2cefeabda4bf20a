"""Everything that is taken from asyncua: its client's connection steps, its services, and the raw bytes of an answer.

Only this file knows more of asyncua than the protocol's own types (`asyncua.ua`); a release that changes its inside can break only this,
and tests/connect/opcua/test_wire.py would notice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

from asyncua import Client, ua
from asyncua.common.utils import Buffer
from asyncua.crypto import security_policies
from asyncua.crypto.uacrypto import CertProperties
from asyncua.ua.ua_binary import nodeid_from_binary, struct_from_binary
from asyncua.ua.uaerrors import UaError, UaStatusCodeError

# asyncua logs what it also raises; what is raised is told by us. A program that configures logging still gets it.
logging.getLogger("asyncua").addHandler(logging.NullHandler())

POLICIES: Final = {
    "Basic256Sha256": security_policies.SecurityPolicyBasic256Sha256,
    "Aes128_Sha256_RsaOaep": security_policies.SecurityPolicyAes128Sha256RsaOaep,
    "Aes256_Sha256_RsaPss": security_policies.SecurityPolicyAes256Sha256RsaPss,
}
FAILURES: Final = (UaError, OSError, asyncio.TimeoutError)
"""What any of these calls may raise; OSError and TimeoutError where the connection is gone."""

_T = TypeVar("_T")
_SESSION: Final = 60_000  # ms without a request after which the server lets go of the session and its subscriptions
_CHANNEL: Final = 3_600_000  # ms, lifetime of the keys of a secure channel


def code_of(error: BaseException) -> int | None:
    """The StatusCode an asyncua error stands for, if any."""
    return int(error.code) if isinstance(error, UaStatusCodeError) and error.code is not None else None


class Wire:
    """One secure channel with one session on it."""

    def __init__(self, url: str, timeout: float) -> None:
        self._client = Client(url, timeout=timeout)
        self._client.session_timeout = _SESSION
        self._client.secure_channel_timeout = _CHANNEL
        self._client.name = self._client.description = "Ronghe"
        self._client.product_uri = "urn:ronghe"
        self._renewing: asyncio.Task[None] | None = None

    def user(self, name: str, password: str) -> None:
        """Before `open`."""
        self._client.set_user(name)
        self._client.set_password(password)

    async def user_certificate(self, certificate: Path, key: Path) -> None:
        """Before `open`. Raises OSError, ValueError."""
        await self._client.load_client_certificate(str(certificate), "pem" if _is_pem(certificate) else "der")
        await self._client.load_private_key(key, extension="pem" if _is_pem(key) else "der")

    async def security(self, policy: str, mode: str, certificate: Path, key: Path, server: bytes, uri: str) -> None:
        """Before `open`: sign or encrypt to the holder of the certificate `server` (DER)."""
        if uri:
            self._client.application_uri = uri
        await self._client.set_security(
            POLICIES[policy],
            CertProperties(certificate, "pem" if _is_pem(certificate) else "der"),
            CertProperties(key, "pem" if _is_pem(key) else "der"),
            server_certificate=CertProperties(server, "der"),
            mode=getattr(ua.MessageSecurityMode, mode),
        )

    async def endpoints(self) -> list[ua.EndpointDescription]:
        """What the server offers, asked for without security. Raises `FAILURES`."""
        client = self._client
        with _only_failures():
            await client.connect_socket()
            try:
                await client.send_hello()
                await _open_channel(client)
                found: list[ua.EndpointDescription] = await client.get_endpoints()
                await client.close_secure_channel()
                return found
            finally:
                client.disconnect_socket()

    async def open(self) -> None:
        """Connects, opens the channel, makes and activates a session. Raises `FAILURES`; then nothing is left open."""
        client = self._client
        with _only_failures():
            await client.connect_socket()
            try:
                await client.send_hello()
                await _open_channel(client)
                await client.create_session()
                await client.activate_session(client._username, client._password, client.user_certificate)
            except BaseException:
                client.disconnect_socket()
                raise
        self._renewing = asyncio.create_task(self._renew())

    async def _renew(self) -> None:
        """New keys after three quarters of the channel's lifetime (OPC 10000-4, 5.5.2)."""
        while True:
            await asyncio.sleep(self._client.secure_channel_timeout * 0.75e-3)
            try:
                await self._client.open_secure_channel(renew=True)
                self._client.uaclient.revolve_security_token()
            except FAILURES:
                self._client.disconnect_socket()
                return

    @property
    def alive(self) -> bool:
        """Is the connection open, as far as this side knows?"""
        protocol = self._client.uaclient.protocol
        return protocol is not None and not protocol.is_closed

    async def raw(self, request: Any, *, wait: bool = True) -> bytes:
        """Sends a request; gives the body of the answer, undecoded, from its type id on. With `wait` False it may take for ever (Publish).
        Raises `FAILURES`, a ServiceFault being a UaStatusCodeError."""
        protocol = self._client.uaclient.protocol
        if protocol is None:
            raise ConnectionError("closed")
        with _only_failures():
            return bytes(await protocol.send_request(request, None if wait else 0))

    async def ask(self, request: Any, answer: type[_T]) -> _T:
        """Sends a request; gives the answer decoded. Raises `FAILURES`."""
        body = await self.raw(request)
        with _only_failures():
            response: Any = struct_from_binary(answer, Buffer(body))
        response.ResponseHeader.ServiceResult.check()
        return response

    async def close(self) -> None:
        """Ends session, channel and socket as politely as the other side allows; never raises."""
        if self._renewing is not None:
            self._renewing.cancel()
        client = self._client
        protocol = client.uaclient.protocol
        if protocol is not None:
            with contextlib.suppress(*FAILURES):
                await asyncio.wait_for(self.ask(ua.CloseSessionRequest(DeleteSubscriptions=True), ua.CloseSessionResponse), 2)
            with contextlib.suppress(*FAILURES):
                await client.close_secure_channel()
        client.disconnect_socket()


@contextlib.contextmanager
def _only_failures() -> Iterator[None]:
    """asyncua's decoders raise whatever Python does when a server's bytes make no sense."""
    try:
        yield
    except FAILURES:
        raise
    except Exception as e:
        raise UaError(f"{type(e).__name__}: {e}") from e


async def _open_channel(client: Client) -> None:
    """asyncua only asserts that OpenSecureChannel was answered with a channel, and forgets the fault that tells why a server refused."""
    protocol, answers = client.uaclient.protocol, list[Any]()
    take = protocol._call_callback

    def keep(request_id: int, body: Any) -> None:
        answers.append(body)
        take(request_id, body)

    protocol._call_callback = keep
    try:
        await client.open_secure_channel()
    except AssertionError:
        body = answers[-1].copy()
        nodeid_from_binary(body)
        struct_from_binary(ua.ResponseHeader, body).ServiceResult.check()
        raise UaError("the server refused to open a secure channel") from None
    finally:
        del protocol._call_callback


def _is_pem(path: Path) -> bool:
    return path.read_bytes()[:64].lstrip().startswith(b"-----BEGIN")


def server_certificate(endpoint: ua.EndpointDescription) -> bytes:
    """The leading certificate of an endpoint's (possibly chained) DER; empty where it has none."""
    der = endpoint.ServerCertificate or b""
    return der[: int.from_bytes(der[2:4], "big") + 4] if len(der) > 4 else b""
