"""Signing a package: Ed25519 (RFC 8032) over the bytes of its manifest, which name the hash of everything else.

The library that does it is imported with the first signature: a node that runs no packages needs none.
"""

from __future__ import annotations

from typing import Final

import msgspec

SIGNATURE: Final = "signature.json"


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """Who signed and the signature, both in hex."""

    ed25519: str
    signature: str


def public_key(private: bytes) -> str:
    """The hex of the public key of a 32-byte private key: what others put on their list of trusted signers."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw().hex()


def sign(manifest: bytes, private: bytes) -> bytes:
    """The content of signature.json."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.from_private_bytes(private)
    made = Signature(ed25519=key.public_key().public_bytes_raw().hex(), signature=key.sign(manifest).hex())
    return msgspec.json.encode(made)


def check(manifest: bytes, signature: Signature) -> str:
    """The signer's public key. Raises ValueError when the signature is not the signer's over these bytes."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(signature.ed25519))
        key.verify(bytes.fromhex(signature.signature), manifest)
    except InvalidSignature as e:
        raise ValueError("not a true signature") from e
    return signature.ed25519
