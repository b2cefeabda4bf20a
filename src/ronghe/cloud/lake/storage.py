"""Where a lake lies: a folder, or a bucket of an S3-compatible store; and the one writer of a folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from ronghe.cloud.spec import CloudSpec
from ronghe.errors import CloudError
from ronghe.text import Text

_NAMES: Final = {
    "endpoint": "AWS_ENDPOINT_URL",
    "region": "AWS_REGION",
    "key": "AWS_ACCESS_KEY_ID",
    "secret": "AWS_SECRET_ACCESS_KEY",
    "token": "AWS_SESSION_TOKEN",
}
_SECRET: Final = ("secret", "token")


def of_centre(folder: Path) -> tuple[str, dict[str, Any]]:
    """(url, options) of the lake of a centre folder, from its cloud.toml. Raises CloudError when there is none or it cannot be read."""
    path = folder / "cloud.toml"
    try:
        spec = msgspec.toml.decode(path.read_bytes(), type=CloudSpec).lake
    except FileNotFoundError as e:
        raise CloudError(
            Text("no centre here", "此处没有中心"),
            where=str(path),
            todo=Text("name its folder by --centre, or a lake by --lake", "请用 --centre 指定中心文件夹，或用 --lake 指定数据湖"),
        ) from e
    except (OSError, UnicodeError, msgspec.MsgspecError) as e:
        raise CloudError(Text(f"cannot be read: {e}", f"无法读取：{e}"), where=str(path)) from e
    return (spec.url if "://" in spec.url else str(folder / ".ronghe" / spec.url)), spec.options


def plants_of_centre(folder: Path) -> dict[str, Path]:
    """The stores of the plants of a centre folder: plant path → historian."""
    root = folder / ".ronghe" / "plants"
    found = sorted(p.parent for p in root.rglob("historian/tags"))
    return {str(p.parent.relative_to(root)): p for p in found}


def storage_options(url: str, options: Mapping[str, Any]) -> dict[str, str]:
    """What deltalake wants to reach a place. `{ env = NAME }` is taken from the environment.

    Raises CloudError for an option that is not known, a secret in plain text, or a variable that is not set.
    """
    if "://" not in url:
        return {}
    found = {}
    for key, value in options.items():
        if key not in _NAMES:
            known = ", ".join(_NAMES)
            raise CloudError(
                Text(f"no such option: {key}", f"没有该选项：{key}"),
                where="lake.options",
                todo=Text(f"there are: {known}", f"可用：{known}"),
            )
        if isinstance(value, dict) and set(value) == {"env"}:
            name = str(value["env"])
            if name not in os.environ:
                raise CloudError(
                    Text(f"the environment variable {name} is not set", f"环境变量 {name} 未设置"), where=f"lake.options.{key}"
                )
            value = os.environ[name]
        elif key in _SECRET:
            raise CloudError(
                Text(f"{key} must not stand in the file in plain text", f"{key} 不得以明文写在文件中"),
                where=f"lake.options.{key}",
                todo=Text(f'write {key} = {{ env = "NAME" }}', f'请写成 {key} = {{ env = "NAME" }}'),
            )
        found[_NAMES[key]] = str(value)
    if found.get("AWS_ENDPOINT_URL", "").startswith("http://"):
        found["AWS_ALLOW_HTTP"] = "true"
    # A commit is a file that must not be there yet: S3 and its kin refuse a second one ("If-None-Match").
    return {**found, "aws_conditional_put": "etag"}


@contextlib.contextmanager
def one_writer(url: str) -> Iterator[None]:
    """One process at a time writes to a folder; others wait. In a bucket, the commits themselves tell of a second writer."""
    if "://" in url:
        yield
        return
    Path(url).mkdir(parents=True, exist_ok=True)
    fd = os.open(Path(url) / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
