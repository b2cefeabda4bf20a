"""Reads the options of drivers and apps: their own types, secrets from the environment, paths below the plant folder."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from ronghe.errors import RongheError
from ronghe.plant.fields import read_fields
from ronghe.plant.problems import Problems, nearest

Find = Callable[[str], Any]
"""Gives the driver or app type of a name; raises whatever it raises when there is none."""

_SECRET: Final = re.compile(r"(^|_)(password|passwd|passphrase|secret|token|api_?key)$", re.IGNORECASE)
_LOGIN_IN_URL: Final = re.compile(r"://[^/\s:@]+:[^/\s@]+@")


@dataclass(slots=True)
class OptionReader:
    """Reads the option tables of one plant folder. With `secrets=False` a missing environment variable is only a warning."""

    file: str
    folder: Path
    line: Callable[..., int]
    problems: Problems
    secrets: bool
    _kinds: dict[tuple[str, str], Any] = field(default_factory=dict)

    def kind(self, find: Find, name: str, what: tuple[str, str], known: list[str], at: int) -> Any:
        """The driver or app type called `name`, or None with the reason among the problems."""
        key = (what[0], name)
        if key not in self._kinds:
            try:
                found = find(name)
                if not issubclass(found.Options, msgspec.Struct):
                    raise TypeError(f"{name}.Options is not a msgspec.Struct")
                self._kinds[key] = found
            except RongheError as e:
                self._kinds[key] = e
            except Exception as e:  # a third party's module may fail in any way while it is imported
                self._kinds[key] = e
        found = self._kinds[key]
        if not isinstance(found, Exception):
            return found
        if name not in known and known:
            listed = ", ".join(known)
            self.problems.error(
                self.file,
                at,
                f"no {what[0]} is called {name[:80]!r}; installed: {listed}",
                f"没有名为 {name[:80]!r} 的{what[1]}；已安装：{listed}",
                nearest(name, known),
            )
        else:
            self.problems.error(
                self.file, at, f"the {what[0]} {name[:80]!r} cannot be loaded: {found}", f"无法加载{what[1]} {name[:80]!r}：{found}"
            )
        return None

    def read(self, kind: type[msgspec.Struct] | None, table: Mapping[str, Any], path: tuple[str, ...]) -> Any:
        """An instance of an Options type from its table at `path`, or None with the reasons among the problems.

        Secrets are looked after even where the type is not known (None).
        """
        loose: set[str] = set()
        missing: set[str] = set()
        resolved = {k: self._resolve(v, (*path, k), partial(loose.add, k), partial(missing.add, k)) for k, v in table.items()}
        if kind is None:
            return None
        if missing:
            # Checked as far as it goes, without what only the plant's own node has; such options are never used to connect.
            resolved = {k: v for k, v in resolved.items() if k not in missing}
            required = {f.encode_name for f in msgspec.structs.fields(kind) if f.required}
            if missing & required:
                return None
        return read_fields(
            kind,
            resolved,
            file=self.file,
            line=lambda *key: self.line(*path, *key),
            problems=self.problems,
            loose=frozenset(loose),
            folder=self.folder,
        )

    def _resolve(self, value: Any, path: tuple[str, ...], used: Callable[[], Any], lacking: Callable[[], Any]) -> Any:
        """A value with every `{ env = "NAME" }` in it replaced from the environment; secrets in plain text are refused."""
        if isinstance(value, dict):
            if set(value) == {"env"} and isinstance(value["env"], str):
                used()
                return self._variable(value["env"], path, lacking)
            return {k: self._resolve(v, (*path, k), used, lacking) for k, v in value.items()}
        if isinstance(value, list):
            return [self._resolve(v, path, used, lacking) for v in value]
        if isinstance(value, str):
            self._refuse_secret(value, path)
        return value

    def _variable(self, name: str, path: tuple[str, ...], lacking: Callable[[], Any]) -> str:
        if name in os.environ:
            return os.environ[name]
        lacking()
        tell = self.problems.error if self.secrets else self.problems.warn
        tell(
            self.file,
            self.line(*path),
            f"{path[-1]}: the environment variable {name[:80]!r} is not set",
            f"{path[-1]}：未设置环境变量 {name[:80]!r}",
        )
        return ""

    def _refuse_secret(self, value: str, path: tuple[str, ...]) -> None:
        key = path[-1]
        if value and _SECRET.search(key):
            hint = f'{key} = {{ env = "{"_".join(path[1:]).upper().replace("-", "_")}" }}'
            self.problems.error(
                self.file,
                self.line(*path),
                f"{key} must not stand in the folder in plain text; write {hint} and set that environment variable",
                f"{key} 不得以明文写在工厂文件夹中；请写 {hint} 并设置该环境变量",
            )
        elif _LOGIN_IN_URL.search(value):
            self.problems.error(
                self.file,
                self.line(*path),
                f"{key} holds a user and password; keep them out of the URL, and the password in an environment variable",
                f"{key} 中含有用户名和密码；请从 URL 中移出，密码放入环境变量",
            )
