"""How a node comes to a centre: its own key, a certificate for it, and what it keeps of both, in `PLANT/.ronghe/centre`.

The first connection is not trusted: over it only the authority's certificate is asked for, and it is held against the fingerprint in the
token. The token's secret is sent over a second connection, to a server that this authority vouches for.
"""

from __future__ import annotations

import hashlib
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from ronghe.bus.fleet import Joined, Joining
from ronghe.bus.invitation import Invitation
from ronghe.edge.centrelink import CentreLink, understood
from ronghe.errors import CloudError
from ronghe.historian.disk import sync_folder
from ronghe.plant.folder import load
from ronghe.text import Text

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

HOME: Final = Path(".ronghe") / "centre"
FILE: Final = "centre.json"


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """`centre.json`: whose node this is, and where its centre is. `key.pem`, `node.pem` and `ca.pem` lie beside it."""

    url: str
    hub: str
    node: str
    plant: str
    trusted: tuple[str, ...] = ()
    renew: int = 0  # when the certificate is to be renewed, ns since 1970 UTC


def membership(home: Path) -> Membership | None:
    """What `home` says; None for a node that never joined. Raises CloudError for a file that cannot be read."""
    try:
        return msgspec.json.decode((home / FILE).read_bytes(), type=Membership)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as e:
        todo = Text("remove the folder and join again", "请删除该文件夹后重新加入")
        raise CloudError(Text(f"cannot be read: {e}", f"无法读取：{e}"), where=str(home / FILE), todo=todo) from e


def context(home: Path) -> ssl.SSLContext:
    """TLS as the node, to its centre alone. Raises CloudError when a file is missing or they do not fit one another."""
    try:
        tls = ssl.create_default_context(cafile=str(home / "ca.pem"))
        tls.load_cert_chain(home / "node.pem", home / "key.pem")
    except (OSError, ssl.SSLError) as e:
        todo = Text("join again", "请重新加入")
        raise CloudError(Text(f"the certificate cannot be used: {e}", f"证书无法使用：{e}"), where=str(home), todo=todo) from e
    tls.minimum_version = ssl.TLSVersion.TLSv1_3
    return tls


def join(url: str, token: str, folder: Path, clock: Callable[[], int]) -> Joined:
    """Joins, and keeps what came. Raises CloudError, PlantError, or Unreachable."""
    invitation = Invitation.read(token)
    plant = load(folder, secrets=False)
    home = folder / HOME
    authority = _authority(url, invitation)
    tls = ssl.create_default_context(cadata=authority)
    tls.minimum_version = ssl.TLSVersion.TLSv1_3
    key = _new_key()
    asked = Joining(secret=invitation.secret, plant=plant.path, title=plant.name, request=request_of(key, plant.path))
    link = CentreLink(url, tls)
    try:
        joined = understood(link.ask("POST", "/fleet/join", msgspec.json.encode(asked)), Joined)
    finally:
        link.close()
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o700)
    write(home / "key.pem", _pem(key), secret=True)
    write(home / "node.pem", joined.certificate.encode())
    write(home / "ca.pem", authority.encode())
    keep(home, url, joined)
    return joined


def keep(home: Path, url: str, joined: Joined) -> Membership:
    """Writes `centre.json`; last, since it is what says that this node has joined."""
    told = Membership(url=url.rstrip("/"), hub=joined.hub, node=joined.node, plant=joined.plant, trusted=joined.trusted, renew=joined.renew)
    write(home / FILE, msgspec.json.format(msgspec.json.encode(told)))
    return told


def renewal(home: Path, node: str) -> str:
    """A certificate request (PEM) for the key that is there. Raises CloudError."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key((home / "key.pem").read_bytes(), None)
    if not isinstance(key, EllipticCurvePrivateKey):
        raise CloudError(Text("the node's key is of another kind", "节点密钥类型不符"), where=str(home / "key.pem"))
    return request_of(key, node)


def request_of(key: EllipticCurvePrivateKey, name: str) -> str:
    """A certificate request; the name in it is a courtesy, the centre gives its own."""
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import NameOID

    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    return x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, SHA256()).public_bytes(Encoding.PEM).decode()


def write(path: Path, data: bytes, *, secret: bool = False) -> None:
    """Whole or not at all, on the disk when it returns."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o644), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
    sync_folder(path.parent)


def _authority(url: str, invitation: Invitation) -> str:
    """The authority's certificate (PEM), which is the one that the token names. Raises CloudError."""
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE  # nothing is believed of this connection; see below
    link = CentreLink(url, tls)
    try:
        pem = link.ask("GET", "/fleet/ca").body.decode("ascii", "replace")
    finally:
        link.close()
    try:
        der = ssl.PEM_cert_to_DER_cert(pem)
    except ValueError as e:
        raise CloudError(Text("this is no centre", "该地址不是中心"), where=url) from e
    if hashlib.sha256(der).digest() != invitation.fingerprint:
        raise CloudError(
            Text("this is not the centre that the token names: somebody may be in between", "该中心与令牌指明的中心不符：连接可能被劫持"),
            where=url,
            todo=Text("check the address, and make a new token at the centre", "请核对地址，并在中心重新生成令牌"),
        )
    return pem


def _new_key() -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _pem(key: EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
