"""Reads named instances as stockpyl keeps them (JSON: `instances`, each with `name` and `data`) and solves each by its own exact method.

An instance is recognised by the facts that it holds, not by its name. Source of the instances: Snyder & Shen, Fundamentals of Supply Chain
Theory, 2nd ed. (2019), and the works named in them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from ronghe.apps.inventory.formats import stockpyl_network, stockpyl_single
from ronghe.apps.inventory.formats.solved import Report, Solved
from ronghe.errors import AppError, MissingExtra
from ronghe.text import Text


class _Instance(msgspec.Struct, frozen=True):
    name: str
    data: dict[str, Any]
    type: str = "dict"
    description: str = ""


class _File(msgspec.Struct, frozen=True):
    instances: list[_Instance]


def read(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Name and facts of every instance. Raises AppError for a file that is not of this format."""
    try:
        raw = path.read_bytes()
    except IsADirectoryError as e:
        what = Text("is a folder; `solve` takes a file of instances", "是文件夹；`solve` 需要算例文件")
        todo = Text("for items.csv and demand.csv: `ronghe inventory plan`", "items.csv 与 demand.csv 请用 `ronghe inventory plan`")
        raise AppError(what, where=str(path), todo=todo) from e
    except OSError as e:
        raise AppError(Text(f"cannot be read: {e.strerror}", f"无法读取：{e.strerror}"), where=str(path)) from e
    try:
        found = msgspec.json.decode(raw, type=_File)
    except msgspec.DecodeError as e:
        raise AppError(
            Text(f"is not a file of inventory instances: {e}", f"不是库存算例文件：{e}"),
            where=str(path),
            todo=Text(
                "give JSON as stockpyl writes it, or a folder with items.csv and demand.csv",
                "请提供 stockpyl 格式的 JSON，或含 items.csv 与 demand.csv 的文件夹",
            ),
        ) from e
    if not found.instances:
        raise AppError(Text("holds no instance", "文件中没有算例"), where=str(path))
    return [(i.name, i.data) for i in found.instances]


def solve(path: Path, clock: Callable[[], float], told: Callable[[Solved], None] = lambda _: None) -> Report:
    """Every instance of a file; `clock` in seconds. Raises AppError for a file that is not of this format."""
    begun = clock()
    done = []
    for name, data in read(path):
        done.append(solve_one(name, data))
        told(done[-1])
    unsolved = tuple(s.name for s in done if s.kind == "unsolved")
    return Report(
        file=path.name,
        instances=tuple(done),
        solved=len(done) - len(unsolved),
        of=len(done),
        seconds=clock() - begun,
        unsolved=unsolved,
    )


def solve_one(name: str, data: Mapping[str, Any]) -> Solved:
    """One instance: the answer, or the reason why there is none."""
    wrong = _impossible(data)
    if wrong is not None:
        return Solved(name=name, problem="", kind="unsolved", reason=wrong)
    solver = stockpyl_network.solve if "_nodes" in data else stockpyl_single.solve
    try:
        return solver(name, data)
    except MissingExtra as e:
        return Solved(name=name, problem="", kind="unsolved", reason=Text(e.in_("en"), e.in_("zh")))
    except (KeyError, TypeError, ValueError, ArithmeticError) as e:
        reason = Text(f"the facts do not make a problem: {e}", f"数据不构成完整的问题：{e}")
        return Solved(name=name, problem="", kind="unsolved", reason=reason)


_SIGNED = ("yield_mean", "yield_lo", "yield_hi", "mu", "initial_inventory_level", "_index")
"""What may be negative."""


def _impossible(data: Mapping[str, Any]) -> Text | None:
    """What cannot be: a cost, rate or time below zero or not finite."""
    for where, facts in [("", data), *((f"node {n.get('_index')}: ", n) for n in data.get("_nodes", ()))]:
        for key, value in facts.items():
            for number in value if isinstance(value, list) else [value]:
                if isinstance(number, bool) or not isinstance(number, int | float) or key.startswith("_"):
                    continue
                if not math.isfinite(number) or (number < 0 and key not in _SIGNED):
                    return Text(f"{where}{key} is {number}", f"{where}{key} 为 {number}")
    return None
