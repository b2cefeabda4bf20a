from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ronghe.apps.scheduling.formats.table import read, write
from ronghe.apps.scheduling.formats.table.kinds import TABLES as TABLE_COLUMNS
from ronghe.apps.scheduling.problem import Arrival, Choice, Fixed, Job, Machine, Off, Operation, Pool, Problem, Setup, Weights
from ronghe.errors import AppError

from .shop import TABLES, put


def refused(path: Path) -> AppError:
    with pytest.raises(AppError) as e:
        read(path)
    assert e.value.in_("zh") != e.value.in_("en")
    return e.value


def test_a_shop_is_read_as_it_stands(tmp_path: Path) -> None:
    p = read(put(tmp_path / "shop"))
    assert p.start == 1_772_409_600_000_000_000  # 08:00 at UTC+8
    first = p.jobs[0].operations[0]
    assert (first.name, first.choices) == ("A1/cut", (Choice("press1", 20), Choice("press2", 22)))  # 10 min + 100 x 7 s, rounded up
    assert p.jobs[2].operations[0].choices == (Choice("press1", 30),)
    assert (first.people, first.uses, first.family) == ({"op": 1}, {"sheet": 150.0}, "red")
    assert (p.jobs[0].due, p.jobs[0].weight, p.jobs[2].due) == (60, 3.0, 16 * 60)
    assert p.arrivals == (Arrival(material="sheet", at=0, quantity=200), Arrival(material="sheet", at=120, quantity=100, source="PO1"))
    assert p.machines[0].off[:2] == (Off(720, 1440, "night"), Off(720 + 1440, 1440 + 1440, "night"))
    assert len(p.machines[0].off) == 29  # for four weeks beyond the last due date
    assert p.setups == (Setup(before="red", after="blue", duration=20), Setup(before="blue", after="red", duration=30))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gbk", "utf-16"])
def test_chinese_names_in_the_encodings_spreadsheets_leave(tmp_path: Path, encoding: str) -> None:
    orders = "订单,产品,数量,交期\n急单1,box,5,2026-03-02 12:00\n"
    routings = "产品,工序,机器,时长（分钟）\nbox,下料,冲床一,20\n"
    tables = {"机器": "机器\n冲床一\n", "订单": orders, "工艺路线": routings}
    folder = put(tmp_path / "shop", encoding, **(dict.fromkeys(TABLES) | {"settings": TABLES["settings"]} | tables))
    p = read(folder)
    assert (p.jobs[0].name, p.jobs[0].operations[0].choices, p.jobs[0].due) == ("急单1", (Choice("冲床一", 20),), 240)


WRONG = [
    (
        "routings",
        "product,step,machine,duration\nbox,cut,pres1,10 min\nlid,cut,press1,1 h\n",
        "routings.csv:2: machine: there is no machine 'pres1'",
        "press1",
    ),
    ("orders", "order,product,due\nA1,bax,2026-03-02\n", "orders.csv:2: product: there is no product 'bax' in routings", "box"),
    ("orders", "order,product,due\nA1,box,2026/3/2\n", "orders.csv:2: due: '2026/3/2' is not a date", "2026-3-2"),
    ("orders", "order,product\nA1,box\nA1,lid\n", "orders.csv:3: order: 'A1' already stands in line 2", ""),
    ("orders", "order,prodct\nA1,box\n", "orders.csv:1: prodct: no column is called 'prodct'", "product"),
    ("orders", "order,product,quantity\nA1,box,-3\n", "orders.csv:2: quantity: -3 is negative", ""),
    ("setups", "from,to,duration\nred,blue,20\n", "setups.csv:2: duration: 20 has no unit", "20 min"),
    (
        "routings",
        "product,step,machine,duration\nbox,cut,press1,-5 min\nlid,cut,press1,1 h\n",
        "routings.csv:2: duration: -5 min is negative",
        "",
    ),
    ("routings", "product,step,machine\nbox,cut,press1\nlid,cut,press1\n", "neither duration nor per_piece", ""),
    (
        "routings",
        "product,step,machine,hours,after\nbox,cut,press1,1,fold\nbox,fold,press1,1,ct\nlid,cut,press1,1,\n",
        "there is no step 'ct'",
        "cut",
    ),
    ("calendar", "machine,from,to\npress1,2026-03-02T10:00,2026-03-02T09:00\n", "calendar.csv:2: to: is not after its start", ""),
    ("people", "people,size\nopp,1\n", "routings.csv:2: people: there are no people 'op'", "opp"),
    ("settings", "key,value\nzone,Asia/Shangai2\n", "no time zone", ""),
    ("bom", 'product,material,quantity\nbox,"sheet,1\n', "bom.csv:", ""),
    ("setup", "from,to,minutes\na,b,1\n", "is the same table", ""),
]


@pytest.mark.parametrize(("table", "text", "said", "meant"), WRONG)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, table: str, text: str, said: str, meant: str) -> None:
    told = refused(put(tmp_path / "shop", **{table: text})).in_("en")
    line = next((x for x in told.splitlines() if said in x), "")
    assert line, told
    assert (f"(did you mean {meant!r}?)" in line) if meant else "did you mean" not in line


def test_a_workbook_names_its_cells(tmp_path: Path) -> None:
    from openpyxl import load_workbook

    write(read(put(tmp_path / "shop")), tmp_path / "shop.xlsx")
    book = load_workbook(tmp_path / "shop.xlsx")
    book["routings"]["C2"] = "press11"
    book["orders"]["A3"] = None
    book.save(tmp_path / "wrong.xlsx")
    told = refused(tmp_path / "wrong.xlsx").in_("en")
    assert "wrong.xlsx:routings!C2: there is no machine 'press11' (did you mean 'press1'?)" in told
    assert "wrong.xlsx:orders!A3: is empty" in told


def test_what_is_no_table_at_all(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "nowhere").in_("en")
    assert "holds none of the tables" in refused(tmp_path).in_("en")
    (tmp_path / "x.xlsx").write_bytes(b"PK\x03\x04 not a workbook")
    assert "not an Excel workbook" in refused(tmp_path / "x.xlsx").in_("en")
    (tmp_path / "x.pdf").write_bytes(b"%PDF")
    assert "neither a folder" in refused(tmp_path / "x.pdf").in_("en")
    put(tmp_path / "empty", orders="")
    assert "orders.csv: is empty" in refused(tmp_path / "empty").in_("en")


def test_a_million_rows_are_refused_by_their_number(tmp_path: Path) -> None:
    folder = put(tmp_path / "shop", orders="order,product\n" + "A,box\n" * 1_000_000)
    assert "orders.csv: 1000001 rows; at most 200000" in refused(folder).in_("en")


NAME = st.text("abcXYZ09 机器-", min_size=1, max_size=8).map(str.strip).filter(lambda s: s and s not in "-*")
OFF = st.builds(
    lambda a, n, why, stop: Off(a, a + n, why, stop),
    st.integers(0, 900),
    st.integers(1, 500),
    st.sampled_from(["", "shift"]),
    st.booleans(),
)


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    machines = draw(st.lists(NAME, min_size=1, max_size=4, unique=True))
    pools = draw(st.lists(NAME.filter(lambda n: n not in machines), max_size=2, unique=True))
    off = st.lists(OFF, max_size=3).map(lambda o: tuple(sorted(o, key=lambda x: (x.start, x.end))))
    jobs = []
    for name in draw(st.lists(NAME, min_size=1, max_size=4, unique=True)):
        steps = draw(st.lists(NAME, min_size=1, max_size=3, unique=True))
        operations = [
            Operation(
                name=f"{name}/{s}",
                choices=tuple(
                    Choice(m, draw(st.integers(0, 10**6))) for m in draw(st.lists(st.sampled_from(machines), min_size=1, unique=True))
                ),
                family=draw(st.sampled_from(["", "red", "blue"])),
                pauses=draw(st.booleans()),
                people=dict.fromkeys(draw(st.lists(st.sampled_from(pools), unique=True)), 2) if pools else {},
                uses=draw(st.sampled_from([{}, {"sheet": 3.0}])),
                after=draw(st.sampled_from([None, (), (f"{name}/{steps[0]}",)])) if s != steps[0] else None,
            )
            for s in steps
        ]
        due = draw(st.none() | st.integers(0, 10**6))
        jobs.append(Job(name=name, operations=tuple(operations), release=draw(st.integers(0, 9)), due=due, product=draw(NAME)))
    begun = Fixed(operation=jobs[0].operations[0].name, machine=jobs[0].operations[0].choices[0].machine, start=0, end=4)
    return Problem(
        name="p",
        start=1_772_409_600 * 10**9,
        tick=draw(st.sampled_from([1.0, 60.0, 0.5])),
        now=draw(st.integers(0, 5)),
        machines=tuple(
            Machine(name=m, off=draw(off), batch=draw(st.integers(1, 3)), power=draw(st.sampled_from([0.0, 7.5]))) for m in machines
        ),
        pools=tuple(Pool(name=n, size=3, off=draw(off)) for n in pools),
        jobs=tuple(jobs),
        setups=draw(st.sampled_from([(), (Setup(before="red", after="blue", duration=7, machine=machines[0]),)])),
        arrivals=draw(st.sampled_from([(), (Arrival(material="sheet", at=9, quantity=2.5, source="PO"),)])),
        fixed=draw(st.sampled_from([(), (begun,)])),
        weights=Weights(makespan=1.0, tardiness=2.5, setup=0.0),
    )


@given(problem=problems(), suffix=st.sampled_from(["", ".xlsx"]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_what_is_written_reads_as_it_was(tmp_path_factory: pytest.TempPathFactory, problem: Problem, suffix: str) -> None:
    path = tmp_path_factory.mktemp("t") / f"copy{suffix}"
    write(problem, path)
    assert read(path) == problem


def test_the_page_is_true(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "scheduling-files.md").read_text(encoding="utf-8")
    for name, text in re.findall(r"^`(\w+\.csv)`\n\n((?:    .*\n)+)", page, re.M):
        (tmp_path / name).write_text(text.replace("    ", ""), encoding="utf-8")
    p = read(tmp_path)
    assert [j.name for j in p.jobs] == ["SO-1001", "SO-1002"]
    assert p.jobs[0].operations[0].choices == (Choice("laser", 15 + 24 * 3),)
    assert (len(p.setups), p.machines[1].batch, p.machines[1].family) == (4, 3, "grey")
    for table, columns in TABLE_COLUMNS.items():
        line = next(line for line in page.splitlines() if line.startswith(f"| `{table}` |"))
        assert all(re.search(rf"\b{c.name}\b", line) for c in columns), table
    assert "(did you mean 'press1'?)" in page
