"""A problem → its tables, in a folder of CSV files or a workbook. What was read from tables and is written reads as the same problem."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from ronghe.apps.scheduling.problem import Job, Operation, Prices, Problem, Tick
from ronghe.errors import MissingExtra
from ronghe.signals.when import format_time
from ronghe.text import Text

Rows = list[list[Any]]

_COLUMNS: Final = {
    "settings": "key value",
    "machines": "machine family batch power",
    "people": "pool size",
    "orders": "order product routing quantity release due weight",
    "routings": "product step machine duration family people pauses after",
    "setups": "from to machine duration",
    "calendar": "machine from to why stop",
    "prices": "from price carbon",
    "bom": "product step material quantity",
    "stock": "material quantity",
    "arrivals": "material at quantity source",
    "begun": "order step machine start end",
}


def write(problem: Problem, path: Path) -> None:
    """Writes a workbook where `path` ends in .xlsx, else a folder of UTF-8 CSV files (with a byte order mark, for Excel)."""
    tables = _tables(problem)
    if path.suffix.lower() == ".xlsx":
        _workbook(tables, path)
        return
    path.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        with (path / f"{name}.csv").open("w", encoding="utf-8-sig", newline="") as f:
            writer = csv.writer(f)
            writer.writerow(_COLUMNS[name].split())
            writer.writerows(rows)


def _workbook(tables: dict[str, Rows], path: Path) -> None:
    try:
        from openpyxl import Workbook
    except ImportError as e:
        raise MissingExtra("planning", Text("writing an Excel workbook", "写入 Excel 工作簿")) from e
    book = Workbook(write_only=True)
    for name, rows in tables.items():
        page = book.create_sheet(name)
        page.append(_COLUMNS[name].split())
        for row in rows:
            page.append(row)
    book.save(path)


class _Words:
    """Ticks as people write them."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem

    def at(self, tick: Tick | None) -> str:
        if tick is None:
            return ""
        return format_time(self._problem.start + round(tick * self._problem.tick * 1e9))

    def span(self, ticks: Tick) -> str:
        seconds = ticks * self._problem.tick
        return f"{seconds / 60:g} min" if seconds % 60 == 0 and seconds < 6e7 else f"{seconds:.10g} s"


def _tables(p: Problem) -> dict[str, Rows]:
    words = _Words(p)
    routes = _routes(p.jobs)
    steps = {o.name: _step(job, o) for job in p.jobs for o in job.operations}
    job_of = {o.name: job.name for job in p.jobs for o in job.operations}
    tables: dict[str, Rows] = {
        "settings": [
            ["name", p.name or "shop"],
            ["start", words.at(0)],
            ["now", words.at(p.now)],
            ["tick", f"{p.tick:g} s"],
            ["makespan", p.weights.makespan],
            ["tardiness", p.weights.tardiness],
            ["setup", p.weights.setup],
            *([["carbon_price", p.prices.carbon_price * 1000]] if p.prices is not None and p.prices.carbon_price else []),
        ],
        "machines": [[m.name, m.family, m.batch, m.power] for m in p.machines],
        "people": [[pool.name, pool.size] for pool in p.pools],
        "orders": [
            [
                j.name,
                j.product or product,
                "" if product == j.product else product,
                j.quantity,
                words.at(j.release),
                words.at(j.due),
                j.weight,
            ]
            for product, jobs in routes.items()
            for j in jobs
        ],
        "routings": [row for product, jobs in routes.items() for row in _routing(product, jobs[0], words)],
        "setups": [[s.before, s.after, s.machine, words.span(s.duration)] for s in p.setups],
        "calendar": [
            [who[0], words.at(o.start), words.at(o.end), o.why, "yes" if o.stop else "no"]
            for who in [*[(m.name, m.off) for m in p.machines], *[(pool.name, pool.off) for pool in p.pools]]
            for o in who[1]
        ],
        "prices": [] if p.prices is None else _prices(p.prices, words),
        "bom": [
            [product, _step(jobs[0], o), material, quantity / jobs[0].quantity]
            for product, jobs in routes.items()
            for o in jobs[0].operations
            for material, quantity in o.uses.items()
        ],
        "stock": [[a.material, a.quantity] for a in p.arrivals if a.at == 0 and not a.source],
        "arrivals": [[a.material, words.at(a.at), a.quantity, a.source] for a in p.arrivals if a.at or a.source],
        "begun": [[job_of[f.operation], steps[f.operation], f.machine, words.at(f.start), words.at(f.end)] for f in p.fixed],
    }
    order = {j.name: i for i, j in enumerate(p.jobs)}
    tables["orders"].sort(key=lambda row: order[row[0]])
    return {name: rows for name, rows in tables.items() if rows}


def _prices(prices: Prices, words: _Words) -> Rows:
    return [[words.at(k * prices.slot), money, prices.carbon[k] if prices.carbon else ""] for k, money in enumerate(prices.money)]


def _step(job: Job, operation: Operation) -> str:
    return operation.name.removeprefix(f"{job.name}/")


def _shape(job: Job) -> tuple[Any, ...]:
    """What two jobs must have in common to be written as orders of one product: a routing holds durations for one quantity."""
    return job.quantity, tuple(
        (
            _step(job, o),
            o.choices,
            o.family,
            o.pauses,
            tuple(sorted(o.people.items())),
            tuple(sorted(o.uses.items())),
            _after(job, o),
        )
        for o in job.operations
    )


def _after(job: Job, operation: Operation) -> tuple[str, ...] | None:
    return None if operation.after is None else tuple(n.removeprefix(f"{job.name}/") for n in operation.after)


def _routes(jobs: Iterable[Job]) -> dict[str, list[Job]]:
    """Routing → its orders. It is called as its product; further ways in which one product is made are "A #2" and so on."""
    products: dict[str, list[Job]] = {}
    known: dict[tuple[str, tuple[Any, ...]], str] = {}
    for job in jobs:
        base, shape = job.product or job.name, _shape(job)
        product = known.get((base, shape))
        if product is None:
            product, n = base, 1
            while product in products:
                n += 1
                product = f"{base} #{n}"
            known[base, shape] = product
        products.setdefault(product, []).append(job)
    return products


def _routing(product: str, job: Job, words: _Words) -> Rows:
    rows: Rows = []
    for o in job.operations:
        people = "; ".join(f"{pool}:{n}" for pool, n in o.people.items())
        after = _after(job, o)
        # No cell says "after nothing at all": an empty one means after the step before. ";" is a list of none.
        line = [o.family, people, "yes" if o.pauses else "no", "" if after is None else "; ".join(after) or ";"]
        rows += [[product, _step(job, o), c.machine, words.span(c.duration), *line] for c in o.choices]
    return rows
