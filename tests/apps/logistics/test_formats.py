"""VRPLIB files and tables: read as they are meant, rounded as the benchmarks are, and refused with file and line."""

from __future__ import annotations

from pathlib import Path

import openpyxl
import pytest

from ronghe.apps.logistics import formats, sound
from ronghe.apps.logistics.evaluate import evaluate, solve_file
from ronghe.apps.logistics.formats import vrplib
from ronghe.errors import AppError

CVRP = """NAME : tiny
TYPE : CVRP
DIMENSION : 4
CAPACITY : 10
EDGE_WEIGHT_TYPE : EUC_2D
NODE_COORD_SECTION
1 0 0
2 1 1
3 2 3
4 -4 0
DEMAND_SECTION
1 0
2 4
3 5
4 6
DEPOT_SECTION
1
-1
EOF
"""
TIMED = CVRP.replace("TYPE : CVRP", "TYPE : VRPTW\nVEHICLES : 3\nSERVICE_TIME : 2").replace(
    "DEPOT_SECTION", "TIME_WINDOW_SECTION\n1 0 100\n2 5 50\n3 0 50\n4 0 50\nDEPOT_SECTION"
)


def put(folder: Path, text: str, solution: str = "") -> Path:
    path = folder / "tiny.vrp"
    path.write_text(text)
    if solution:
        path.with_suffix(".sol").write_text(solution)
    return path


@pytest.mark.parametrize(
    ("text", "cost", "unit"),
    [
        # depot-2-3-depot: 1.414 + 2.236 + 3.606, depot-4-depot: 8
        (CVRP, 1 + 2 + 4 + 8, 1),
        (TIMED, (14 + 22 + 36 + 80) / 10, 1),
        (TIMED.replace("VRPTW", "MDVRPTW"), 1414 + 2236 + 3606 + 8000, 1000),
    ],
)
def test_distances_are_rounded_as_the_best_known_solutions_are(tmp_path: Path, text: str, cost: float, unit: int) -> None:
    path = put(tmp_path, text, f"Route #1: 1 2\nRoute #2: 3\nCost {cost}\n")
    known = vrplib.solution(path, formats.read(path))
    assert known is not None
    assert (known.best, known.unit) == (pytest.approx(cost), unit)
    solved = solve_file(path, seconds=0.2)
    assert (solved.feasible, solved.checked, solved.gap) == (True, True, pytest.approx(0))
    assert solved.objective == pytest.approx(cost)


def test_windows_services_depots_and_costs_of_vehicles_are_read(tmp_path: Path) -> None:
    p = formats.read(put(tmp_path, TIMED))
    assert (p.orders[0].earliest, p.orders[0].latest, p.orders[0].service, p.depots[0].closes) == (50, 500, 20, 1000)
    mixed = CVRP.replace("TYPE : CVRP", "TYPE : HFVRP\nVEHICLES : 2").replace("CAPACITY : 10\n", "")
    mixed = mixed.replace(
        "DEPOT_SECTION\n1",
        "CAPACITY_SECTION\n1 6\n2 9\nVEHICLES_FIXED_COST_SECTION\n1 100\n2 300\n"
        "VEHICLES_UNIT_DISTANCE_COST_SECTION\n1 50\n2 80\nDEPOT_SECTION\n1",
    )
    p = formats.read(put(tmp_path, mixed))
    assert [(v.capacity, v.fixed, v.per_distance) for v in p.vehicles] == [((6,), 100_000, 50), ((9,), 300_000, 80)]
    explicit = "NAME: x\nTYPE: CVRP\nDIMENSION: 3\nCAPACITY: 5\nEDGE_WEIGHT_TYPE: EXPLICIT\nEDGE_WEIGHT_FORMAT: LOWER_ROW\n"
    explicit += "EDGE_WEIGHT_SECTION\n7 3\n4\nDEMAND_SECTION\n1 0\n2 1\n3 1\nDEPOT_SECTION\n1\n-1\nEOF\n"
    assert formats.read(put(tmp_path, explicit)).roads[""].distance.tolist() == [[0, 7, 3], [7, 0, 4], [3, 4, 0]]


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("3 5\n", "3 -5\n", 14, "negative"),
        ("3 5\n", "3 11\n", 14, "more than any vehicle holds"),
        ("3 5\n", "3 2.5\n", 14, "not whole"),
        ("3 5\n", "3 x\n", 14, "not a number"),
        ("3 5\n", "2 5\n", 14, "appears twice"),
        ("3 5\n", "", 12, "3 is missing"),
        ("DIMENSION : 4", "DIMENSION : 1000000", 3, "at most 5000"),
        ("EUC_2D", "GEO", 5, "not known"),
        ("DEMAND_SECTION", "COLOUR_SECTION", 11, "COLOUR"),
        ("DEPOT_SECTION\n1", "DEPOT_SECTION\n2", 17, "first places"),
        ("CAPACITY : 10", "COLOUR : 10", 4, "COLOUR"),
        ("NAME : tiny", "Dear reader", 1, "no VRPLIB file"),
    ],
)
def test_what_is_wrong_in_a_vrplib_file_is_said_with_its_line(tmp_path: Path, old: str, new: str, line: int, said: str) -> None:
    assert old in CVRP
    with pytest.raises(AppError, match=said) as caught:
        formats.read(put(tmp_path, CVRP.replace(old, new, 1)))
    assert caught.value.where.endswith(f"tiny.vrp:{line}")
    assert caught.value.what.zh


def test_impossible_windows_other_encodings_and_missing_files_are_refused(tmp_path: Path) -> None:
    for old, new, said in (("2 5 50", "2 50 5", "ends before it begins"), ("2 5 50", "2 0 0", "no vehicle can be there")):
        with pytest.raises(AppError, match=said):
            formats.read(put(tmp_path, TIMED.replace(old, new)))
    (tmp_path / "odd.vrp").write_bytes(b"NAME : \xff\xfe\xfa\x00\n")
    for name in ("odd.vrp", "none.vrp"):
        with pytest.raises(AppError):
            formats.read(tmp_path / name)


def test_gaps_are_reported_by_folder_over_a_sample(tmp_path: Path) -> None:
    for k in range(3):
        folder = tmp_path / f"set{k % 2}"
        folder.mkdir(exist_ok=True)
        (folder / f"a{k}.vrp").write_text(CVRP)
        (folder / f"a{k}.sol").write_text("Route #1: 1 2\nRoute #2: 3\nCost 15\n")
    report = evaluate(tmp_path, seconds=0.1)
    assert {name: (s.files, s.solved, s.mean_gap) for name, s in report.sets.items()} == {"set0": (2, 2, 0.0), "set1": (1, 1, 0.0)}
    with pytest.raises(AppError):
        evaluate(tmp_path, seconds=0.1, most=2)


TABLES = {
    "places": "name,title,lon,lat,depot,opens,closes,loading\nDC,仓库,116.40,39.90,yes,06:00,22:00,10min\n"
    "A,甲,116.45,39.95,,,,\nB,乙,116.35,39.92,,,,\n",
    "orders": "name,place,origin,quantity,weight_kg,collect_quantity,earliest,latest,service,value,vehicles\n"
    "o1,A,,4,300,,08:00,2026-01-05T10:00:00Z,10min,,\no2,B,A,5,200,,,,5min,2.5,truck-2\n",
    "vehicles": "name,start,count,quantity,weight_kg,fixed,per_km,per_hour,shift_start,shift_end,max_hours,trips,"
    "kg_co2_per_km,kg_co2_per_tkm\ntruck,DC,2,10,800,20,1.2,30,07:00,17:00,9,2,0.8,0.05\n",
    "settings": "name,value\nstart,2026-01-05T00:00:00Z\ndetour,1.3\nspeed_kmh,36\ncurrency,CNY\n",
}


def tables(folder: Path, **changed: str) -> Path:
    for name, text in {**TABLES, **changed}.items():
        (folder / f"{name}.csv").write_text(text)
    return folder


def test_tables_become_metres_seconds_and_money(tmp_path: Path) -> None:
    p = formats.read(tables(tmp_path))
    assert [v.name for v in p.vehicles] == ["truck-1", "truck-2"]
    v, o = p.vehicles[0], p.orders[0]
    assert (v.capacity, v.fixed, v.per_distance, v.per_tick) == ((10_000, 800_000), 20_000_000, 1200, 8333)
    assert (v.earliest, v.latest, v.max_duration, v.max_trips, v.reloads) == (25_200, 61_200, 32_400, 2, ("DC",))
    assert (o.delivery, o.earliest, o.latest, o.service) == ((4_000, 300_000), 28_800, 36_000, 600)
    assert (p.orders[1].origin, p.orders[1].prize, p.orders[1].only) == ("A", 2_500_000, ("truck-2",))
    assert (p.weight, p.map, p.dimensions) == (1, "lonlat", ("quantity", "weight_kg"))
    # 0.05° of latitude are 5560 m, 0.05° of longitude at 39.925° 4264 m
    assert int(p.roads["36"].distance[0, 1]) == pytest.approx(1.3 * (5560**2 + 4264**2) ** 0.5, rel=1e-3)
    assert int(p.roads["36"].duration[0, 1]) == -(-int(p.roads["36"].distance[0, 1]) // 10)


def test_a_book_is_the_same_problem_as_its_tables(tmp_path: Path) -> None:
    folder = tmp_path / "tables"
    folder.mkdir()
    tables(folder)
    book = openpyxl.Workbook()
    for name, text in TABLES.items():
        sheet = book.create_sheet(name)
        for line in text.splitlines():
            sheet.append([float(c) if c.replace(".", "").isdigit() else c for c in line.split(",")])
    book.save(tmp_path / "tables.xlsx")
    a, b = formats.read(folder), formats.read(tmp_path / "tables.xlsx")
    assert (a.orders, a.vehicles, a.places, a.depots) == (b.orders, b.vehicles, b.places, b.depots)
    book["orders"]["D2"] = -4
    book.save(tmp_path / "tables.xlsx")
    with pytest.raises(AppError, match="negative") as caught:
        formats.read(tmp_path / "tables.xlsx")
    assert caught.value.where.endswith("tables.xlsx[orders]:2")
    (tmp_path / "no.xlsx").write_bytes(b"no book")
    with pytest.raises(AppError, match="no Excel book"):
        formats.read(tmp_path / "no.xlsx")


@pytest.mark.parametrize(
    ("table", "old", "new", "where", "said"),
    [
        ("orders", "o2,B", "o1,B", "orders.csv:3", "second order"),
        ("orders", "o2,B", "o2,X", "orders.csv:3", "no place 'X'"),
        ("orders", "4,300", "-4,300", "orders.csv:2", "negative"),
        ("orders", "4,300", "4,900", "orders.csv:2", "900 weight_kg are more than any vehicle holds"),
        ("orders", "08:00", "8 am", "orders.csv:2", "8 am"),
        ("orders", "08:00", "11:00", "orders.csv:2", "ends before it begins"),
        ("orders", "08:00,2026-01-05T10", "05:00,2026-01-05T07", "orders.csv:2", "time window"),
        ("orders", "truck-2", "truck-9", "orders.csv:3", "truck-9"),
        ("orders", "quantity,", "quantité,", "orders.csv:1", "no column"),
        ("places", "116.35,39.92", "116.35,139.92", "places.csv:4", "-90..90"),
        ("places", "116.35,39.92", ",", "places.csv:2", "how far"),
        ("vehicles", "truck,DC", "truck,A", "vehicles.csv:2", "no depot"),
        ("vehicles", "DC,2", "DC,2.5", "vehicles.csv:2", "whole number"),
        ("settings", "detour", "detuor", "settings.csv:3", "detuor"),
        ("settings", "1.3", "-1", "settings.csv:3", "above 0"),
    ],
)
def test_what_is_wrong_in_a_table_is_said_with_its_line(tmp_path: Path, table: str, old: str, new: str, where: str, said: str) -> None:
    assert old in TABLES[table]
    with pytest.raises(AppError, match=said) as caught:
        formats.read(tables(tmp_path, **{table: TABLES[table].replace(old, new, 1)}))
    assert caught.value.where.endswith(where)
    assert caught.value.in_("zh") != caught.value.in_("en")


def test_a_million_rows_and_a_missing_table_are_refused(tmp_path: Path) -> None:
    many = TABLES["orders"] + "x,A,,1,1,,,,,,\n" * 1_000_000
    with pytest.raises(AppError, match=f"at most {sound.MOST} orders"):
        formats.read(tables(tmp_path, orders=many))
    (tmp_path / "orders.csv").unlink()
    with pytest.raises(AppError, match="missing"):
        formats.read(tmp_path)


def test_stated_distances_and_aisles_come_before_coordinates(tmp_path: Path) -> None:
    ways = "origin,destination,km,minutes\nDC,A,12,30\nA,DC,13,\n"
    r = formats.read(tables(tmp_path, distances=ways)).roads["36"]
    assert (int(r.distance[0, 1]), int(r.duration[0, 1]), int(r.distance[1, 0])) == (12_000, 1800, 13_000)
    aisles = "a,b,metres,one_way\nDC,j,100,\nj,A,50,yes\nA,B,30,\nB,DC,400,yes\n"
    (tmp_path / "distances.csv").unlink()
    p = formats.read(tables(tmp_path, aisles=aisles))
    assert p.roads["36"].distance.tolist() == [[0, 150, 180], [430, 0, 30], [400, 30, 0]]
    with pytest.raises(AppError, match="no aisle leads"):
        formats.read(tables(tmp_path, aisles=aisles.replace("B,DC,400,yes", "")))


def test_a_problem_of_tables_is_solved_with_its_carbon(tmp_path: Path) -> None:
    solved = solve_file(tables(tmp_path), seconds=0.3)
    assert solved.checked
    assert solved.best_known is None
    assert solved.carbon_kg == pytest.approx(sum(r.carbon_kg or 0 for r in solved.routes))
    assert solved.carbon_kg is not None
    assert solved.carbon_kg > 0.8 * sum(r.distance for r in solved.routes)
