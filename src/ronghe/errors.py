"""The one tree of errors. Each says what is wrong, where, and what to do about it.

RongheError
├── PlantError          the plant folder cannot be used; carries every problem found, not the first
├── ConnectError        a device or its answer
│   ├── Unreachable     no connection: host, port, cable, time-out
│   ├── Rejected        the device said no: security policy, certificate, user, rights
│   ├── BadAddress      no such node, register or column
│   └── BadFrame        bytes that are not the protocol
├── PictureError        a picture that cannot be read as it is meant: truncated, huge, animated, in unknown colours, no picture at all
├── HistorianError      the store
│   ├── StoreFull       no space: nothing acknowledged is lost, new samples wait
│   ├── StoreLocked     another process writes to it
│   └── BadQuery        a query that cannot be answered as asked
├── BusError            moving messages between nodes
│   └── BusFull         no room: nothing acknowledged is lost, whoever sends keeps what it has
├── GuardError          the guard's own set-up or a request that names nothing
├── LedgerError         the record is broken or was changed
├── ModelError          a model package that does not fit, is damaged, or is used outside its limits
├── TwinError           a twin that cannot be read, or whose model fails
├── AppError            an app's input cannot be used
├── CloudError          the centre: a fleet, a roll-out, a tenant or a query that cannot be served as asked
└── MissingExtra        an optional part is not installed; names the pip command
"""

from __future__ import annotations

import msgspec

from ronghe.text import Text


class RongheError(Exception):
    """Base of all. `what` and `todo` are in both languages; `where` is a file and line, a tag, or an address."""

    def __init__(self, what: Text | str, *, where: str = "", todo: Text | str = "") -> None:
        self.what = what if isinstance(what, Text) else Text(what)
        self.where = where
        self.todo = todo if isinstance(todo, Text) else Text(todo)
        super().__init__(self.in_("en"))

    def in_(self, lang: str) -> str:
        """One line (what, where, what to do) in `lang`."""
        head = f"{self.where}: " if self.where else ""
        tail = f" → {self.todo.in_(lang)}" if self.todo.en else ""
        return f"{head}{self.what.in_(lang)}{tail}"

    def __str__(self) -> str:
        return self.in_("en")


class Problem(msgspec.Struct, frozen=True):
    """One thing wrong with a plant folder. `meant` is the nearest thing that would be right, if any."""

    file: str
    line: int
    what: Text
    meant: str = ""
    severity: str = "error"  # "error" | "warning"

    def in_(self, lang: str) -> str:
        """`file:line: what (did you mean …?)`."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        hint = {"en": f" (did you mean {self.meant!r}?)", "zh": f"（是否想写 {self.meant!r}？）"}[lang] if self.meant else ""
        return f"{place}: {self.what.in_(lang)}{hint}"


class PlantError(RongheError):
    """The plant folder cannot be used. `problems` lists everything found."""

    def __init__(self, problems: list[Problem], *, where: str = "") -> None:
        self.problems = problems
        n = sum(p.severity == "error" for p in problems)
        super().__init__(
            Text(f"{n} problem(s) in the plant folder", f"工厂文件夹有 {n} 处问题"),
            where=where,
            todo=Text("run `ronghe check` and mend each line listed", "运行 `ronghe check`，逐条修正"),
        )

    def in_(self, lang: str) -> str:
        return "\n".join([super().in_(lang), *(f"  {p.in_(lang)}" for p in self.problems)])


class ConnectError(RongheError): ...


class Unreachable(ConnectError): ...


class Rejected(ConnectError): ...


class BadAddress(ConnectError): ...


class BadFrame(ConnectError): ...


class PictureError(RongheError): ...


class HistorianError(RongheError): ...


class StoreFull(HistorianError): ...


class StoreLocked(HistorianError): ...


class BadQuery(HistorianError): ...


class BusError(RongheError): ...


class BusFull(BusError): ...


class GuardError(RongheError): ...


class LedgerError(RongheError): ...


class ModelError(RongheError): ...


class TwinError(RongheError): ...


class AppError(RongheError): ...


class CloudError(RongheError): ...


class MissingExtra(RongheError):
    """An optional part is not installed."""

    def __init__(self, extra: str, needed_for: Text) -> None:
        super().__init__(
            Text(f"{needed_for.en} needs an optional part", f"{needed_for.zh}需要可选组件"),
            todo=Text(f"pip install 'ronghe[{extra}]'", f"pip install 'ronghe[{extra}]'"),
        )
