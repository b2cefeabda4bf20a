"""The centre's own certificate authority: one root, made once; certificates for the centre's servers, for its parts, and for nodes.

X.509 with ECDSA on P-256 (RFC 5280, RFC 5480). A node's certificate lives 90 days and is renewed by the node itself; that a node is no
longer wanted is known from the fleet's list at every request, not from the certificate.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ronghe.errors import CloudError
from ronghe.text import Text

NODE_LIFE: Final = timedelta(days=90)
_SERVER_LIFE: Final = timedelta(days=397)  # the most that today's clients take
_ROOT_LIFE: Final = timedelta(days=365 * 20)
_SKEW: Final = timedelta(hours=1)  # a node's clock may be behind
_CENTRE: Final = "centre"


class Issued(msgspec.Struct, frozen=True):
    """A node's certificate: PEM, its serial number (hex), its end and when to renew it (ns since 1970 UTC)."""

    pem: str
    serial: str
    until: int
    renew: int


class Authority:
    """The files of `.ronghe/ca`: `ca.pem`, `ca.key` (0600), `server.pem` and `server.key`, `centre.pem` and `centre.key` (0600)."""

    def __init__(self, folder: Path, clock: Callable[[], int]) -> None:
        """Opens what `create` made. Raises CloudError when it is not there or cannot be used."""
        self.folder, self._clock = folder, clock
        self.certificate = folder / "ca.pem"
        try:
            self._cert = x509.load_pem_x509_certificate(self.certificate.read_bytes())
            self._key = _load_key(folder / "ca.key")
        except (OSError, ValueError) as e:
            raise CloudError(
                Text(f"the centre's certificate authority cannot be read: {e}", f"无法读取中心的证书颁发机构：{e}"),
                where=str(folder),
                todo=Text("put the folder back from a copy; every node trusts this key", "请从备份恢复该文件夹；所有节点都信任此密钥"),
            ) from e
        self.fingerprint = self._cert.fingerprint(hashes.SHA256())

    @classmethod
    def create(cls, folder: Path, clock: Callable[[], int]) -> Authority:
        """Makes the root. Raises FileExistsError rather than replace one."""
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(f"Ronghe CA {os.urandom(4).hex()}")
        now = _time(clock())
        builder = _builder(name, name, key.public_key(), now - _SKEW, now + _ROOT_LIFE)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(sign=True), critical=True)
        cert = builder.sign(key, hashes.SHA256())
        _write_secret(folder / "ca.key", _pem(key))
        (folder / "ca.pem").write_bytes(cert.public_bytes(serialization.Encoding.PEM))
        return cls(folder, clock)

    def server(self, address: str) -> tuple[Path, Path]:
        """(certificate, key) files for servers at `address`, localhost and 127.0.0.1; made anew in the last third of its life."""
        names = [_alternative(a) for a in dict.fromkeys([address, "localhost", "127.0.0.1"])]
        return self._own("server", address, x509.SubjectAlternativeName(names))

    def own(self) -> tuple[Path, Path]:
        """(certificate, key) files with which the centre's own parts come to its hub, as `CN=centre`."""
        return self._own(_CENTRE, _CENTRE, None)

    def issue(self, request: str, node: str) -> Issued:
        """A certificate `CN=node` for the key in a request (PEM, PKCS #10). Raises CloudError for a request that proves no key of ours."""
        if node == _CENTRE:
            raise CloudError(Text("this name is the centre's own", "该名称为中心自用"), where=node)
        try:
            csr = x509.load_pem_x509_csr(request.encode())
            key = csr.public_key()
            sound = csr.is_signature_valid
        except (ValueError, TypeError, InvalidSignature) as e:
            raise CloudError(Text(f"no certificate request: {e}", f"不是证书请求：{e}"), where=node) from e
        if not sound or not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise CloudError(Text("the request is not signed by its key, or the key is not on P-256", "证书请求签名无效，或密钥不是 P-256"))
        now = _time(self._clock())
        cert = self._sign(_name(node), key, now, now + NODE_LIFE, [ExtendedKeyUsageOID.CLIENT_AUTH], None)
        pem = cert.public_bytes(serialization.Encoding.PEM).decode()
        begin, end = (round(t.timestamp()) * 1_000_000_000 for t in (now, cert.not_valid_after_utc))
        return Issued(pem, f"{cert.serial_number:x}", end, begin + (end - begin) * 2 // 3)

    def context(self, address: str) -> ssl.SSLContext:
        """For the centre's HTTPS: TLS 1.3; a client may have no certificate (it joins), but none of a foreign authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(*self.server(address))
        context.load_verify_locations(self.certificate)
        context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def _own(self, file: str, name: str, names: x509.SubjectAlternativeName | None) -> tuple[Path, Path]:
        cert_file, key_file = self.folder / f"{file}.pem", self.folder / f"{file}.key"
        now = _time(self._clock())
        if cert_file.exists() and key_file.exists():
            cert = x509.load_pem_x509_certificate(cert_file.read_bytes())
            fits = names is None or cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value == names
            if fits and cert.not_valid_before_utc <= now < cert.not_valid_after_utc - _SERVER_LIFE / 3:
                return cert_file, key_file
        key = ec.generate_private_key(ec.SECP256R1())
        uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH] if names else [ExtendedKeyUsageOID.CLIENT_AUTH]
        cert = self._sign(_name(name), key.public_key(), now, now + _SERVER_LIFE, uses, names)
        key_file.unlink(missing_ok=True)
        _write_secret(key_file, _pem(key))
        cert_file.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
        return cert_file, key_file

    def _sign(
        self, name: x509.Name, key: Any, now: datetime, until: datetime, uses: list[Any], names: x509.SubjectAlternativeName | None
    ) -> x509.Certificate:
        builder = _builder(name, self._cert.subject, key, now - _SKEW, min(until, self._cert.not_valid_after_utc))
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(sign=False), critical=True).add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        if names is not None:
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256())


def fingerprint(pem: str) -> bytes:
    """SHA-256 of a certificate's DER."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest()


def _builder(name: x509.Name, issuer: x509.Name, key: Any, since: datetime, until: datetime) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(issuer).public_key(key)
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(since).not_valid_after(until)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)


def _usage(*, sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign,
        key_cert_sign=sign,
        crl_sign=sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _alternative(address: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)


def _time(ns: int) -> datetime:
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{path.name}: no elliptic-curve key")
    return key


def _write_secret(path: Path, data: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
