"""Keys that sign releases, and who trusts which.

Private keys are files of one key each, readable by their owner only, encrypted where a passphrase is given. Public keys live in a *ring*:
the keys that a person said are trusted, and statements by which a trusted key brings in or retires another. Nothing else brings a key in,
so that whoever gets hold of the centre's web interface cannot: he has no private key.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from ronghe.errors import ModelError
from ronghe.historian import disk
from ronghe.models.signature import public_key
from ronghe.models.statement import Introduced, Retired, Signed, read_any, state
from ronghe.text import Text

if TYPE_CHECKING:  # where a key is made or read it is imported: a node only checks signatures, if at all
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PASSPHRASE: Final = "RONGHE_KEY_PASSPHRASE"  # noqa: S105 - the name of the environment's variable
RING: Final = "ring.json"
SLACK: Final = 300_000_000_000  # ns by which the clocks of two machines may differ


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A public key in a ring. Times in ns since 1970 UTC; `until` 0: no end. `by` is the key that introduced it, or empty."""

    key: str
    name: str = ""
    since: int = 0
    until: int = 0
    by: str = ""

    def state(self, now: int) -> Literal["early", "active", "retiring", "retired"]:
        """Retiring: it still counts, and its end is known."""
        if now < self.since - SLACK:
            return "early"
        return "active" if not self.until else "retiring" if now <= self.until else "retired"

    def counts(self, now: int) -> bool:
        """Whether what it signs is believed."""
        return self.state(now) in ("active", "retiring")


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    pinned: tuple[str, ...] = ()
    statements: tuple[Signed, ...] = ()


class Ring:
    """Trusted keys in a file. What was admitted once stays so: a statement is judged by the clock on the day that it comes."""

    def __init__(self, path: Path) -> None:
        """Raises ModelError for a file that cannot be read: to go on without it would mean to trust whoever comes next."""
        self.path = path
        try:
            self._kept = msgspec.json.decode(path.read_bytes(), type=_Kept) if path.exists() else _Kept()
        except (OSError, msgspec.DecodeError) as e:
            todo = Text("bring it back from a copy, or delete it and trust a key anew", "请从备份恢复，或删除后重新信任密钥")
            raise ModelError(Text(f"the ring of keys cannot be read: {e}", f"密钥环无法读取：{e}"), where=str(path), todo=todo) from e
        self._keys: dict[str, Key] = {key: Key(key=key) for key in self._kept.pinned}
        for signed in self._kept.statements:
            self._apply(signed)

    @property
    def statements(self) -> tuple[Signed, ...]:
        """In the order in which they came: what a node is given to follow from a key that it knows to a new one."""
        return self._kept.statements

    @property
    def empty(self) -> bool:
        """Whether no key was ever trusted here."""
        return not self._kept.pinned

    @property
    def keys(self) -> tuple[Key, ...]:
        """All, retired ones too."""
        return tuple(self._keys.values())

    def trusted(self, now: int) -> tuple[str, ...]:
        """Hex of the keys that count at `now`."""
        return tuple(k.key for k in self._keys.values() if k.counts(now))

    def pin(self, key: str) -> None:
        """A person, or the moment of joining, says that this key is trusted. Raises ModelError for what is no key, or was retired."""
        if len(key) != 64 or not set(key) <= set("0123456789abcdef"):
            raise ModelError(Text("not a public key: 64 hex digits", "不是公钥：应为 64 位十六进制数字"), where=key[:80])
        known = self._keys.get(key)
        if known is not None and known.until:
            raise ModelError(Text("this key was retired", "该密钥已停用"), where=key)
        if key not in self._kept.pinned:
            self._keep(_Kept(pinned=(*self._kept.pinned, key), statements=self._kept.statements))
            self._keys.setdefault(key, Key(key=key))

    def admit(self, statements: Iterable[Signed], now: int) -> tuple[str, ...]:
        """Takes what keys that count here say of keys, in order; passes over the rest. Gives the keys that are new here."""
        before, taken = set(self._keys), list(self._kept.statements)
        for signed in statements:
            if signed not in taken and self._may(signed, now):
                taken.append(signed)
                self._apply(signed)
        if len(taken) > len(self._kept.statements):
            self._keep(_Kept(pinned=self._kept.pinned, statements=tuple(taken)))
        return tuple(k for k in self._keys if k not in before)

    def _may(self, signed: Signed, now: int) -> bool:
        author = self._keys.get(signed.key)
        if author is None or not author.counts(now):
            return False
        try:
            read_any(signed)
        except ModelError:
            return False
        return True

    def _apply(self, signed: Signed) -> None:
        said = read_any(signed)
        known = self._keys.get(said.key)
        if isinstance(said, Retired):
            if known is not None:
                until = min(said.until, known.until) if known.until else said.until
                self._keys[said.key] = msgspec.structs.replace(known, until=until)
        elif known is None or not known.name:  # a second introduction changes nothing: no retired key comes back by it
            until = known.until if known is not None and known.until else said.until
            by = signed.key if signed.key != said.key else ""
            self._keys[said.key] = Key(key=said.key, name=said.name, since=said.since, until=until, by=by)

    def _keep(self, kept: _Kept) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            disk.replace(self.path, msgspec.json.encode(kept))
        except OSError as e:
            raise ModelError(Text(f"cannot be written: {e.strerror}", f"无法写入：{e.strerror}"), where=str(self.path)) from e
        self._kept = kept


class KeyFolder:
    """A person's keys: `NAME.pem` for each private key, and a ring that trusts them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ring = folder, Ring(folder / RING)

    def new(self, name: str, now: int, *, by: str = "", until: int = 0, passphrase: str = "") -> str:
        """Makes a key; the first of a ring stands for itself, every other is introduced `by` one that counts. Gives its public key."""
        path = self._path(name)
        if path.exists():
            raise ModelError(Text(f"there is a key {name!r} already", f"密钥 {name!r} 已存在"), where=str(path))
        if not by and not self.ring.empty:
            raise ModelError(
                Text("a new key is introduced by one that is trusted", "新密钥须由受信任的密钥引入"),
                where=str(self.folder),
                todo=Text("--by NAME, or `ronghe keys rotate`", "请用 --by NAME，或 `ronghe keys rotate`"),
            )
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        made = Ed25519PrivateKey.generate()
        key = made.public_key().public_bytes_raw().hex()
        author = self.private(by, passphrase) if by else made.private_bytes_raw()
        self._counting(public_key(author), now) if by else None
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write_private(path, made, passphrase)
        if not by:
            self.ring.pin(key)
        self.ring.admit([state(Introduced(key=key, name=name, since=now, until=until, made=now), author)], now)
        return key

    def rotate(self, old: str, new: str, now: int, *, overlap: int, passphrase: str = "") -> str:
        """A new key introduced by the old, which counts for `overlap` ns more."""
        key = self.new(new, now, by=old, passphrase=passphrase)
        self.retire(old, now, by=new, until=now + overlap, why=f"rotated to {new}", passphrase=passphrase)
        return key

    def retire(self, name: str, now: int, *, by: str, until: int, why: str, passphrase: str = "") -> None:
        """Ends a key; `by` is the key that says so, itself or another that counts."""
        author, key = self.private(by, passphrase), self.named(name).key
        self._counting(public_key(author), now)
        self.ring.admit([state(Retired(key=key, until=until, why=why, made=now), author)], now)

    def named(self, name: str) -> Key:
        """The key of this name, or with these first digits. Raises ModelError when there is none, or several."""
        found = [k for k in self.ring.keys if k.name == name or (len(name) >= 8 and k.key.startswith(name))]
        if len(found) != 1:
            known = ", ".join(k.name for k in self.ring.keys)
            raise ModelError(
                Text(f"no one key {name!r}", f"没有唯一的密钥 {name!r}"),
                where=str(self.folder),
                todo=Text(
                    f"keys here: {known}" if known else "make one: `ronghe keys new NAME`",
                    f"现有：{known}" if known else "请先创建：`ronghe keys new NAME`",
                ),
            )
        return found[0]

    def private(self, name: str, passphrase: str = "") -> bytes:
        """The 32 bytes of a private key. Raises ModelError when it is not here, or the passphrase is not its own."""
        path = self._path(name)
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            key = load_pem_private_key(path.read_bytes(), passphrase.encode() or None)
        except FileNotFoundError as e:
            raise ModelError(Text(f"the private key {name!r} is not here", f"此处没有私钥 {name!r}"), where=str(path)) from e
        except (OSError, ValueError, TypeError) as e:
            raise ModelError(
                Text("the private key cannot be opened", "私钥无法打开"),
                where=str(path),
                todo=Text(
                    f"give its passphrase in {PASSPHRASE}, or none where it has none",
                    f"请通过环境变量 {PASSPHRASE} 提供口令；无口令则不要设置",
                ),
            ) from e
        if not isinstance(key, Ed25519PrivateKey):
            raise ModelError(Text("not an Ed25519 key", "不是 Ed25519 密钥"), where=str(path))
        return key.private_bytes_raw()

    def _path(self, name: str) -> Path:
        if not name or not all(c.isalnum() or c in "-_." for c in name) or name.startswith("."):
            raise ModelError(Text("a key's name is letters, digits, -, _ and .", "密钥名称只能含字母、数字、-、_ 和 ."), where=name)
        return self.folder / f"{name}.pem"

    def _counting(self, key: str, now: int) -> None:
        if key not in self.ring.trusted(now):
            raise ModelError(Text("this key no longer counts", "该密钥已失效"), where=key)


def _write_private(path: Path, key: Ed25519PrivateKey, passphrase: str) -> None:
    from cryptography.hazmat.primitives import serialization as form

    how: form.KeySerializationEncryption = form.BestAvailableEncryption(passphrase.encode()) if passphrase else form.NoEncryption()
    pem = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, how)
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(fd, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(fd)
    except OSError as e:
        raise ModelError(Text(f"cannot be written: {e.strerror}", f"无法写入：{e.strerror}"), where=str(path)) from e
