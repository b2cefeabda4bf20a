"""Signing, encryption, users and trust, against a node-opcua server that accepts no one it does not know."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.connect.contract import running, until
from tests.connect.opcua.servers import NodeServer

from ronghe.connect import Item, Write
from ronghe.connect.opcua import OpcUa, Options, trust
from ronghe.errors import ConnectError, Rejected
from ronghe.signals import TagIndex
from ronghe.signals import quality as q

ADDRESS = "nsu=http://example.org/press;s=Types.Double"
NOW = datetime.datetime(2024, 5, 1, tzinfo=datetime.UTC)
ENCRYPTED = "Basic256Sha256/SignAndEncrypt"


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of what the server knows from its start, for its watcher takes a while to see what comes later: ronghe.der and .pem (ours),
    known.der and .pem (a user's)."""
    folder = tmp_path_factory.mktemp("known")
    for name in ("ronghe", "known"):
        trust.make(folder / f"{name}.der", folder / f"{name}.pem", datetime.datetime.now(datetime.UTC))
    return folder


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, known: Path) -> Iterator[NodeServer]:
    """Only known certificates, only the user ann; announces itself under a name that nothing resolves."""
    server = NodeServer(
        tmp_path_factory.mktemp("guarded"),
        users={"ann": "secret"},
        accept=False,
        modes=["Sign", "SignAndEncrypt"],
        policies=["Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"],
        advertise="opc.tcp://plc-behind-a-gateway.invalid:4840",
    )
    for certificate in known.glob("*.der"):
        known_to(server, certificate)
    server.start()
    yield server
    server.stop()


def make(server: NodeServer, **options: Any) -> OpcUa:
    return OpcUa(Options(url=server.url, **options), TagIndex())


async def read(driver: OpcUa) -> float:
    item = Item(id=driver.index.id("d"), address=ADDRESS)
    try:
        batch = await driver.read([item])
    finally:
        await driver.close()
    assert batch.quality.tolist() == [q.GOOD]
    return float(batch.value[0])


def known_to(server: NodeServer, certificate: Path) -> None:
    """The server's administrator trusts our certificate."""
    trusted = Path(server.config["pki"]) / "trusted" / "certs"
    trusted.mkdir(parents=True, exist_ok=True)
    for refused in (Path(server.config["pki"]) / "rejected").glob("*.*"):
        refused.unlink()
    whole = trusted.parent / certificate.name  # the server must never read half a file
    shutil.copy(certificate, whole)
    whole.replace(trusted / f"{certificate.stem}-{certificate.stat().st_mtime_ns}.der")


@pytest.fixture
def ours(known: Path, own_store: Path) -> Path:
    """Our certificate, trusted by the server."""
    own = own_store / "own"
    own.mkdir(parents=True)
    for file in known.glob("ronghe.*"):
        shutil.copy2(file, own)
    return own / "ronghe.der"


@pytest.mark.parametrize("policy", ["Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"])
@pytest.mark.parametrize("mode", ["Sign", "SignAndEncrypt"])
async def test_every_policy_and_mode(guarded: NodeServer, ours: Path, policy: str, mode: str) -> None:
    driver = make(guarded, security=f"{policy}/{mode}", user="ann", password="secret", trust="first-use")
    assert await read(driver) == 2.25


@pytest.mark.parametrize("security", ["Basic256Sha256/Sign", ENCRYPTED])
async def test_acquires_over_a_secure_channel_in_several_chunks(guarded: NodeServer, ours: Path, security: str) -> None:
    """A text above one chunk (64 KiB), written, acquired and read; and ten rounds of numbers beside it."""
    driver = make(guarded, security=security, user="ann", password="secret", trust="first-use")
    long, address = "压机" * 40_000, "nsu=http://example.org/press;s=Types.WriteString"
    items = [
        Item(id=driver.index.id("text"), address=address, every=0.1, type="text"),
        Item(id=driver.index.id("n"), address="nsu=http://example.org/press;s=Press.Count", every=0.1),
    ]
    async with running(driver, items) as sink:
        assert await driver.write([Write(address=address, value=long + security, type="text")]) == [q.GOOD]
        await until(lambda: any(r[3] == long + security for r in sink.rows("text")), "the long text")
        await until(lambda: sink.good("n") > 10, "numbers")
        assert (await driver.read(items[:1])).text.to_pylist() == [long + security]


async def test_an_unknown_server_is_refused_until_its_certificate_is_put_in_place(guarded: NodeServer, ours: Path, own_store: Path) -> None:
    options = {"security": ENCRYPTED, "user": "ann", "password": "secret"}
    with pytest.raises(Rejected) as raised:
        await read(make(guarded, **options))
    text = raised.value.in_("en")
    (refused,) = (own_store / "rejected").glob("*.der")
    assert trust.fingerprint(refused.read_bytes()) in text
    assert str(refused) in text
    assert trust.fingerprint(refused.read_bytes()) in raised.value.in_("zh")
    # What the message says to do, done.
    place = own_store / "trusted" / refused.name
    assert f"mv '{refused}' '{place}'" in text
    place.parent.mkdir()
    refused.rename(place)
    assert await read(make(guarded, **options)) == 2.25
    # And in a folder of the plant's own, as PEM.
    folder = own_store.parent / "plant-trust"
    folder.mkdir()
    from cryptography.hazmat.primitives.serialization import Encoding

    (folder / "server.pem").write_bytes(trust.read_certificate(place).public_bytes(Encoding.PEM))
    (folder / "notes.txt").write_text("not a certificate")
    (folder / "broken.der").write_bytes(b"nor is this")
    assert await read(make(guarded, **options, trust=str(folder))) == 2.25


async def test_first_use_trusts_once_and_refuses_a_change(guarded: NodeServer, ours: Path, own_store: Path) -> None:
    options = {"security": ENCRYPTED, "user": "ann", "password": "secret", "trust": "first-use"}
    assert await read(make(guarded, **options)) == 2.25
    (kept,) = (own_store / "trusted").glob("*.der")
    kept.write_bytes(ours.read_bytes())  # as if another certificate had been met first
    with pytest.raises(Rejected, match="not trusted"):
        await read(make(guarded, **options))


async def test_the_server_does_not_know_us(guarded: NodeServer, own_store: Path) -> None:
    with pytest.raises(trust.Fixable) as raised:
        await read(make(guarded, security=ENCRYPTED, user="ann", password="secret", trust="first-use"))
    certificate = own_store / "own" / "ronghe.der"
    assert str(certificate) in raised.value.in_("en")
    assert "管理员信任" in raised.value.in_("zh")


async def test_waits_while_the_administrator_comes_round(guarded: NodeServer, own_store: Path) -> None:
    """What a person can put right meanwhile does not end `run`."""
    driver = make(guarded, security=ENCRYPTED, user="ann", password="secret", trust="first-use")
    async with running(driver, [Item(id=driver.index.id("d"), address=ADDRESS, every=0.1)]) as sink:
        await until(lambda: driver.health.reason is not None, "a reason")
        assert "does not trust" in str(driver.health.reason.en if driver.health.reason else "")
        known_to(guarded, own_store / "own" / "ronghe.der")
        await until(lambda: sink.good("d"), "samples")


@pytest.mark.parametrize("who", [{"user": "ann", "password": "wrong"}, {"user": "eve", "password": "secret"}, {}])
async def test_bad_user(guarded: NodeServer, ours: Path, who: dict[str, str]) -> None:
    driver = make(guarded, security=ENCRYPTED, trust="first-use", **who)
    with pytest.raises(Rejected) as raised:
        await read(driver)
    assert not isinstance(raised.value, trust.Fixable)
    assert "user" in raised.value.in_("en")
    assert "secret" not in raised.value.in_("en")
    with pytest.raises(Rejected):  # and `run` does not go on knocking: an account may be locked by it
        await driver.run([Item(id=0, address=ADDRESS)], lambda _: None)
    assert driver.health.state == "stopped"


async def test_a_policy_that_is_not_offered_names_those_that_are(press: NodeServer, guarded: NodeServer, ours: Path) -> None:
    with pytest.raises(Rejected) as raised:
        await read(make(guarded, security="None", user="ann", password="secret"))
    assert "Aes256_Sha256_RsaPss/SignAndEncrypt" in raised.value.in_("zh")
    with pytest.raises(Rejected, match=r"one of those it offers: None, Basic256Sha256/Sign") as raised:
        await read(make(press, security="Aes128_Sha256_RsaOaep/Sign", trust="first-use"))
    assert raised.value.where == press.url


async def test_a_certificate_instead_of_a_name(guarded: NodeServer, known: Path, ours: Path, tmp_path: Path) -> None:
    trust.make(tmp_path / "unknown.der", tmp_path / "unknown.pem", datetime.datetime.now(datetime.UTC))

    def driver(user: Path) -> OpcUa:
        files = {"user_certificate": str(user), "user_key": str(user.with_suffix(".pem"))}
        return make(guarded, security=ENCRYPTED, trust="first-use", **files)

    assert await read(driver(known / "known.der")) == 2.25
    with pytest.raises(ConnectError) as raised:
        await read(driver(tmp_path / "unknown.der"))
    assert str(tmp_path / "unknown.der") in raised.value.in_("en")


def test_our_certificate_is_made_once_and_its_key_kept_private(own_store: Path) -> None:
    options = Options(url="opc.tcp://x")
    first = [f.read_bytes() for f in trust.own(options, NOW)]
    assert [f.read_bytes() for f in trust.own(options, NOW)] == first
    assert (own_store / "own" / "ronghe.pem").stat().st_mode & 0o077 == 0
    certificate = trust.read_certificate(own_store / "own" / "ronghe.der")
    assert trust.application_uri(certificate).startswith("urn:")
    assert certificate.not_valid_before_utc < NOW < certificate.not_valid_after_utc
    with pytest.raises(Rejected, match="does not exist"):
        trust.own(Options(url="opc.tcp://x", certificate=str(own_store / "nowhere.der"), key="k"), NOW)


def test_a_certificate_out_of_date_is_refused_with_its_dates(own_store: Path) -> None:
    options = Options(url="opc.tcp://x", trust="first-use")
    certificate, _ = trust.own(options, NOW)
    trust.check(certificate.read_bytes(), options, NOW)
    with pytest.raises(Rejected, match="2024-04-30"):
        trust.check(certificate.read_bytes(), options, NOW + datetime.timedelta(days=365 * 11))


def test_an_authority_vouches_for_those_it_signed(own_store: Path, tmp_path: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import NameOID

    def signed(name: str, by: tuple[x509.Name, rsa.RSAPrivateKey] | None, *, authority: bool) -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
        key = rsa.generate_private_key(65537, 2048)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer, signer = by or (subject, key)
        builder = x509.CertificateBuilder(issuer, subject, key.public_key(), 7, NOW - datetime.timedelta(1), NOW + datetime.timedelta(9))
        return builder.add_extension(x509.BasicConstraints(authority, None), True).sign(signer, hashes.SHA256()), key

    root, root_key = signed("root", None, authority=True)
    other, other_key = signed("not an authority", None, authority=False)
    folder = tmp_path / "trusted"
    folder.mkdir()
    options = Options(url="opc.tcp://x", trust=str(folder))
    for certificate in (root, other):
        (folder / f"{certificate.subject.rfc4514_string()}.der").write_bytes(certificate.public_bytes(Encoding.DER))
    good, _ = signed("plc", (root.subject, root_key), authority=False)
    trust.check(good.public_bytes(Encoding.DER), options, NOW)
    for by in ((root.subject, other_key), (other.subject, other_key)):
        bad, _ = signed("plc", by, authority=False)
        with pytest.raises(Rejected, match="not trusted"):
            trust.check(bad.public_bytes(Encoding.DER), options, NOW)
