"""What keys say: a release of a package, a new key, a key that no longer counts. Each is JSON with an Ed25519 signature (RFC 8032) over it.

The kind is a part of what is signed, and the signed bytes begin with a line that no manifest begins with: no statement can be passed off as
another, nor as the signature of a package.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec

from ronghe.errors import ModelError
from ronghe.models.signature import Signature, check, sign
from ronghe.text import Text

_DOMAIN: Final = b"ronghe statement 1\n"


class Introduced(msgspec.Struct, frozen=True, kw_only=True, tag="key"):
    """Whoever trusts the signer trusts this key too, from `since` until `until` (ns UTC; 0: no end). A first key signs itself."""

    key: str  # hex of the Ed25519 public key
    name: str
    since: int
    until: int = 0
    made: int


class Retired(msgspec.Struct, frozen=True, kw_only=True, tag="retired"):
    """This key no longer counts after `until` (ns): what it signed later is refused, and what it introduces."""

    key: str
    until: int
    why: str = ""
    made: int


class Released(msgspec.Struct, frozen=True, kw_only=True, tag="release"):
    """This package may run. `serial` grows with every release of the name; a node that took this one never goes back below `floor`, so
    that an old version with a known fault cannot be brought back, not even by whoever owns the centre. What ran without a release is 0."""

    name: str
    version: str
    hash: str  # of the package's manifest
    file: str  # SHA-256 of the zip
    size: int  # bytes of the zip
    serial: int
    floor: int
    since: int  # ns since 1970 UTC: not before
    until: int = 0  # ns: not after; 0: no end
    created: int


Statement = Introduced | Retired | Released
S = TypeVar("S", Introduced, Retired, Released)


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """A statement as it is passed on: its JSON, the hex of the signer's public key, and the signature in hex."""

    body: str
    key: str
    signature: str


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """All that a node needs to believe a package, beside the keys that it trusts: its release, and how the signer's key came in."""

    release: Signed
    keys: tuple[Signed, ...] = ()


def state(statement: Statement, private: bytes) -> Signed:
    """Signs a statement with a 32-byte Ed25519 private key."""
    body = msgspec.json.encode(statement)
    made = msgspec.json.decode(sign(_DOMAIN + body, private), type=Signature)
    return Signed(body=body.decode(), key=made.ed25519, signature=made.signature)


def read(signed: Signed, kind: type[S]) -> S:
    """What it says, if it is of this kind and its signature is true; says nothing of who may be trusted. Raises ModelError."""
    return _read(signed, kind)


def read_any(signed: Signed) -> Introduced | Retired:
    """As `read`, of a statement about a key."""
    return _read(signed, Introduced | Retired)


def _read(signed: Signed, kind: Any) -> Any:
    try:
        check(_DOMAIN + signed.body.encode(), Signature(ed25519=signed.key, signature=signed.signature))
        return msgspec.json.decode(signed.body, type=kind)
    except (ValueError, msgspec.DecodeError) as e:
        raise ModelError(Text("a statement's signature is not true, or it says something else", "声明的签名无效，或内容不符")) from e
