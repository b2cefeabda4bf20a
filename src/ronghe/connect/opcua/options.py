"""What a `[connections.NAME]` table with `driver = "opcua"` may hold."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Security = Literal[
    "None",
    "Basic256Sha256/Sign",
    "Basic256Sha256/SignAndEncrypt",
    "Aes128_Sha256_RsaOaep/Sign",
    "Aes128_Sha256_RsaOaep/SignAndEncrypt",
    "Aes256_Sha256_RsaPss/Sign",
    "Aes256_Sha256_RsaPss/SignAndEncrypt",
]

FIRST_USE = "first-use"


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One OPC UA server and how to speak with it. Paths are relative to the plant folder."""

    url: Annotated[str, Meta(pattern=r"^opc\.tcp://[^\s/]+", description="endpoint, e.g. opc.tcp://plc1:4840")]
    security: Annotated[Security, Meta(description="security policy / message mode; None: neither signed nor encrypted")] = "None"
    user: Annotated[str, Meta(description="user name; empty: anonymous")] = ""
    password: Annotated[str, Meta(description='password of the user: { env = "NAME" }, never in the file itself')] = ""
    user_certificate: Annotated[
        str, Meta(description="X.509 certificate (DER or PEM) that stands for the user, instead of a name", extra={"path": True})
    ] = ""
    user_key: Annotated[str, Meta(description="private key (PEM) of user_certificate", extra={"path": True})] = ""
    certificate: Annotated[
        str, Meta(description="this client's certificate (DER or PEM); empty: one is made on first use and kept", extra={"path": True})
    ] = ""
    key: Annotated[str, Meta(description="private key (PEM) of certificate", extra={"path": True})] = ""
    trust: Annotated[
        str,
        Meta(
            description='folder of trusted server certificates (DER or PEM), or "first-use": trust what is met first, refuse a change',
            extra={"path": True, "except": (FIRST_USE,)},
        ),
    ] = ""
    sessions: Annotated[int, Meta(ge=0, le=32, description="parallel sessions the tags are spread over; 0: one for each 20,000 tags")] = 0
    publishing: Annotated[
        float, Meta(ge=0, description="publishing interval in s; 0: a quarter of the tags' sampling interval, 1 s at most")
    ] = 0.0
    queue: Annotated[int, Meta(ge=0, description="samples a tag that the server keeps between publications; 0: as needed, 10 at least")] = 0
    timeout: Annotated[float, Meta(gt=0, description="s, for an answer of the server")] = 10.0
    backfill: Annotated[float, Meta(ge=0, description="s, longest gap that is fetched from the server's history after a loss; 0: none")] = (
        86_400.0
    )


def store() -> Path:
    """Where this client keeps its own certificate (own/), those it trusts (trusted/) and those it refused (rejected/)."""
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "ronghe" / "opcua"
