"""Certificates: this client's own, and which servers' are trusted (OPC 10000-4, 6.1)."""

from __future__ import annotations

import datetime
import os
import re
import socket
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ronghe.connect.opcua.options import FIRST_USE, Options, store
from ronghe.errors import Rejected
from ronghe.text import Text

_SUFFIXES = {".der", ".cer", ".crt", ".pem"}
_YEARS = 10


class Fixable(Rejected):
    """Refused until a person puts something right; worth trying again meanwhile."""


def fingerprint(certificate: bytes, *, sha1: bool = False) -> str:
    """Digest of a DER certificate, as people compare it: AB:CD:…; SHA-1 is what OPC UA itself calls a thumbprint."""
    digest = hashes.Hash(hashes.SHA1() if sha1 else hashes.SHA256())  # noqa: S303  # a name, not a proof
    digest.update(certificate)
    return digest.finalize().hex(":").upper()


def read_certificate(path: Path) -> x509.Certificate:
    """A certificate in DER or PEM. Raises OSError, ValueError."""
    data = path.read_bytes()
    return x509.load_pem_x509_certificate(data) if data.lstrip().startswith(b"-----BEGIN") else x509.load_der_x509_certificate(data)


def own(options: Options, now: datetime.datetime) -> tuple[Path, Path]:
    """The files of this client's certificate and key; made on first use, unless the options name them. Raises Rejected."""
    if options.certificate or options.key:
        files = Path(options.certificate), Path(options.key)
        for file, name in zip(files, ("certificate", "key"), strict=True):
            if not file.is_file():
                raise Rejected(
                    Text(f"the file of option {name!r} does not exist: {file}", f"选项 {name!r} 指定的文件不存在：{file}"),
                    where=options.url,
                    todo=Text(
                        "give both certificate and key, or leave both out to have them made",
                        "请同时给出 certificate 与 key，或都不填以自动生成",
                    ),
                )
        return files
    certificate, key = store() / "own" / "ronghe.der", store() / "own" / "ronghe.pem"
    if not (certificate.is_file() and key.is_file()):
        certificate.parent.mkdir(parents=True, exist_ok=True)
        make(certificate, key, now)
    return certificate, key


def make(certificate: Path, key: Path, now: datetime.datetime) -> None:
    """A self-signed application instance certificate (OPC 10000-6, 6.2.2), RSA 2048, SHA-256."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    host = socket.gethostname()
    name = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, f"Ronghe@{host}"[:64]), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Ronghe")]
    )
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=True, key_encipherment=True, data_encipherment=True, key_cert_sign=True,
        key_agreement=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"urn:{host}:ronghe"), x509.DNSName(host)])
    made = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=365 * _YEARS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(names, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(private.public_key()), critical=False)
        .sign(private, hashes.SHA256())
    )
    pem = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with open(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as f:
        f.write(pem)
    certificate.write_bytes(made.public_bytes(serialization.Encoding.DER))


def application_uri(certificate: x509.Certificate) -> str:
    """The URI that a certificate names its application by; servers compare it with what the client says. Empty where there is none."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ""
    return next(iter(names.get_values_for_type(x509.UniformResourceIdentifier)), "")


def check(der: bytes, options: Options, now: datetime.datetime) -> None:
    """Is this server's certificate trusted: itself, or the authority that signed it? Raises Fixable, naming fingerprint and place."""
    certificate = x509.load_der_x509_certificate(der)
    first, last = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not first <= now <= last:
        raise Fixable(
            Text(
                f"the server's certificate is valid from {first:%Y-%m-%d} to {last:%Y-%m-%d} only",
                f"服务器证书仅在 {first:%Y-%m-%d} 至 {last:%Y-%m-%d} 有效",
            ),
            where=options.url,
            todo=Text(
                "renew it on the server, or set the clock of this machine or of the server right",
                "请在服务器上更新证书，或校正本机或服务器时钟",
            ),
        )
    first_use = options.trust == FIRST_USE
    folder = store() / "trusted" if first_use or not options.trust else Path(options.trust)
    name = re.sub(r"[^\w.-]+", "-", urlsplit(options.url).netloc.rpartition("@")[2]) + ".der"
    if first_use:
        known = folder / name
        if not known.exists():
            known.parent.mkdir(parents=True, exist_ok=True)
            known.write_bytes(der)
        if known.read_bytes() == der:
            return
    elif any(_vouches(c, certificate) for c in _trusted(folder)):
        return
    refused = store() / "rejected" / name
    refused.parent.mkdir(parents=True, exist_ok=True)
    refused.write_bytes(der)
    raise _untrusted(certificate, der, refused, folder / name, options.url)


def _trusted(folder: Path) -> list[x509.Certificate]:
    found = []
    for path in sorted(folder.glob("*")) if folder.is_dir() else ():
        if path.suffix.lower() in _SUFFIXES:
            try:
                found.append(read_certificate(path))
            except ValueError:
                continue  # not a certificate: trusts nobody
    return found


def _vouches(trusted: x509.Certificate, certificate: x509.Certificate) -> bool:
    if trusted == certificate:
        return True
    try:
        authority = trusted.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        certificate.verify_directly_issued_by(trusted)
    except (x509.ExtensionNotFound, InvalidSignature, ValueError, TypeError):
        return False
    return authority


def _untrusted(certificate: x509.Certificate, der: bytes, refused: Path, place: Path, url: str) -> Fixable:
    who = certificate.subject.rfc4514_string()
    print_ = fingerprint(der)
    return Fixable(
        Text(
            f"the certificate of this server is not trusted: {who}, SHA-256 fingerprint {print_}",
            f"不信任该服务器的证书：{who}，SHA-256 指纹 {print_}",
        ),
        where=url,
        todo=Text(
            f"compare the fingerprint with the server's own; if they agree: mkdir -p '{place.parent}' && mv '{refused}' '{place}'",
            f"请与服务器端显示的指纹核对；一致则执行：mkdir -p '{place.parent}' && mv '{refused}' '{place}'",
        ),
    )
