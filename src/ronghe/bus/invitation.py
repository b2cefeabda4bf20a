"""The one-time token with which a node joins: which authority the centre must show, and a secret that only the invited knows.

The authority's fingerprint stands in the token, so that the very first connection is authenticated too: nothing is trusted on first use.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from typing import Final

import msgspec

from ronghe.errors import CloudError
from ronghe.text import Text

_MARK: Final = "rj1-"  # so that a token is recognised, and another kind told from it
_FINGERPRINT: Final = 32  # bytes, SHA-256 of the authority's certificate (DER)
_SECRET: Final = 16  # bytes


class Invitation(msgspec.Struct, frozen=True):
    """What a token says. `secret` is hex."""

    fingerprint: bytes
    secret: str

    @classmethod
    def new(cls, fingerprint: bytes) -> Invitation:
        """With 128 random bits."""
        return cls(fingerprint, secrets.token_hex(_SECRET))

    @property
    def token(self) -> str:
        """As a person copies it: 68 characters."""
        return _MARK + base64.urlsafe_b64encode(self.fingerprint + bytes.fromhex(self.secret)).decode().rstrip("=")

    @classmethod
    def read(cls, token: str) -> Invitation:
        """Raises CloudError for a text that is no token, or not all of one."""
        body = token.strip().removeprefix(_MARK)
        try:
            data = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            data = b""
        if not token.strip().startswith(_MARK) or len(data) != _FINGERPRINT + _SECRET:
            raise CloudError(
                Text("this is not a whole token", "令牌不完整或不是令牌"),
                todo=Text("copy the whole line that `ronghe fleet invite` printed", "请完整复制 `ronghe fleet invite` 输出的命令"),
            )
        return cls(data[:_FINGERPRINT], data[_FINGERPRINT:].hex())

    @property
    def kept(self) -> str:
        """All of it that the centre keeps: the SHA-256 of the secret, hex. With 128 random bits no slow hash is needed."""
        return hashlib.sha256(bytes.fromhex(self.secret)).hexdigest()
