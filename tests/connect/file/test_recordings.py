"""Files as people save them: encodings, separators, layouts, bad rows, and any bytes at all."""

from __future__ import annotations

import asyncio
import codecs
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ronghe.connect import Item
from ronghe.connect.file import File, Options
from ronghe.errors import BadAddress, BadFrame, ConnectError, RongheError, Unreachable
from ronghe.signals import Batch, TagIndex
from ronghe.signals import quality as q

T0 = np.datetime64("2024-01-01T00:00:00", "ns").astype(np.int64)
SECOND = 10**9


def driver(path: Path, **options: Any) -> File:
    return File(Options(path=str(path), speed=options.pop("speed", 0), **options), TagIndex())


async def replay(file: File, *addresses: str, text: tuple[str, ...] = ()) -> Batch:
    """Everything of some tags, from a replay as fast as possible."""
    got: list[Batch] = []
    items = [Item(id=file.index.id(a), address=a, type="text" if a in text else "float") for a in (*addresses, *text)]
    task = asyncio.create_task(file.run(items, got.append))
    while file.health.state != "stopped" and not task.done():
        await asyncio.sleep(0.002)
    if task.done():
        task.result()
    task.cancel()
    await asyncio.wait({task})
    return Batch.concat(got) if got else Batch.empty(file.index)


def column(batch: Batch, address: str) -> list[tuple[float, float]]:
    """[(s after T0, value)] of one tag."""
    rows = batch.tag == batch.index.find(address)
    return [((t - T0) / SECOND, v) for t, v in zip(batch.time[rows].tolist(), batch.value[rows].tolist(), strict=True)]


WIDE = ["时间,压力,流量", "2024-01-01 00:00:00,1.5,10", "2024-01-01 00:00:01,2.5,20"]


@pytest.mark.parametrize(
    "save",
    [
        lambda t: t.encode("utf-8"),
        lambda t: codecs.BOM_UTF8 + t.encode("utf-8"),
        lambda t: t.encode("gb18030"),
        lambda t: t.encode("gbk"),
        lambda t: t.encode("utf-16"),
        lambda t: codecs.BOM_UTF16_BE + t.encode("utf-16-be"),
        lambda t: t.replace("\n", "\r\n").encode("utf-8"),
        lambda t: t.replace("\n", "\r").encode("gbk"),
        lambda t: t.replace(",", ";").replace(".", ",").encode("utf-8"),
        lambda t: t.replace(",", "\t").encode("utf-8"),
        lambda t: t.replace(",", "|").encode("utf-8"),
        lambda t: ("一号泵导出\n单位,bar\n\n" + t + "\n\n").encode("gb18030"),
        lambda t: "\n".join(line + "," for line in t.split("\n")).encode(),
        lambda t: t.split("\n")[0].encode() + "".join(f"\n{line}," for line in t.split("\n")[1:]).encode(),
        lambda t: "\n".join(",".join(f'"{c}"' for c in line.split(",")) for line in t.split("\n")).encode(),
        lambda t: t.replace("2024-01-01 ", "2024/1/1 ").encode(),
        lambda t: t.replace("时间,", "日期,时间,").replace("2024-01-01 ", "2024/1/1,").encode(),
    ],
    ids=["utf-8", "bom", "gb18030", "gbk", "utf-16", "utf-16-be", "crlf", "cr", "semicolon and decimal comma", "tab", "bar", "title lines",
         "separator at the end", "separator at the end of data", "quoted", "slashes", "date and time apart"],
)  # fmt: skip
async def test_one_table_saved_in_many_ways(tmp_path: Path, save: Callable[[str], bytes]) -> None:
    path = tmp_path / "export.csv"
    path.write_bytes(save("\n".join(WIDE)))
    file = driver(path)
    batch = await replay(file, "压力", "流量")
    assert column(batch, "压力") == [(0, 1.5), (1, 2.5)]
    assert column(batch, "流量") == [(0, 10), (1, 20)]
    assert (batch.quality == q.GOOD).all()
    assert file.skipped == 0


async def test_an_encoding_that_shows_late(tmp_path: Path) -> None:
    path = tmp_path / "late.csv"
    rows = [f"{1704067200 + i},{i},auto" for i in range(40_000)]
    path.write_bytes("\n".join(["time,a,mode", *rows, "1704200000,1,手动"]).encode("gbk"))
    assert path.stat().st_size > 1 << 19
    batch = await replay(driver(path), text=("mode",))
    assert batch.text.to_pylist()[-1] == "手动"


async def test_gz(tmp_path: Path) -> None:
    path = tmp_path / "export.csv.gz"
    path.write_bytes(gzip.compress("\n".join(WIDE).encode()))
    assert column(await replay(driver(path), "压力"), "压力") == [(0, 1.5), (1, 2.5)]


async def test_bad_rows_are_told_by_line_counted_and_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(
        "time,a,b\n2024-01-01 00:00:00,1,1\n\n2024-01-01 00:00:01,2\nnever,3,3\n2024-01-01 00:00:03,oops,4\n\n"
        "2024-01-01 00:00:04,5,5,5\n,,\n2024-01-01 00:00:05,,6\n2024-01-01 00:00:06,7,7\n"
    )
    file = driver(path)
    batch = await replay(file, "a", "b")
    assert column(batch, "b") == [(0, 1), (3, 4), (5, 6), (6, 7)]
    assert [(t, q_) for (t, _), q_ in zip(column(batch, "a"), batch.quality[batch.tag == batch.index.find("a")], strict=True)] == [
        (0, q.GOOD), (3, q.BAD_TYPE_MISMATCH), (6, q.GOOD)
    ]  # fmt: skip
    assert sorted(p.line for p in file.problems) == [4, 5, 8, 9]
    assert all(p.file == str(path) for p in file.problems)
    assert {p.line: p.what.en for p in file.problems}[5] == "no time: 'never'"
    assert {p.line: p.what.en for p in file.problems}[4] == "2 cells, 3 columns"
    assert file.skipped == file.health.dropped == 4


async def test_lines_are_right_in_later_blocks(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    rows = [f"{1704067200 + i},{i}" for i in range(200_000)]
    rows[150_000] = "gone,1"
    rows[199_999] = "1704267199"
    path.write_text("\n".join(["time,a", *rows]))
    file = driver(path)
    batch = await replay(file, "a")
    assert len(batch) == 199_998
    assert sorted(p.line for p in file.problems) == [150_002, 200_001]
    assert batch.value.sum() == sum(range(200_000)) - 150_000 - 199_999
    assert np.all(np.diff(batch.time) > 0)


async def test_a_long_table(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_text(
        "tag,time,value,quality\np,2024-01-01T00:00:00Z,1.5,192\nmode,2024-01-01T00:00:00Z,auto,192\np,2024-01-01T00:00:01Z,2.5,64\n"
        "other,2024-01-01T00:00:01Z,9,192\np,2024-01-01T00:00:02Z,,0\n"
    )
    file = driver(path)
    batch = await replay(file, "p", "gone", text=("mode",))
    p, gone = (batch.tag == batch.index.find(n) for n in ("p", "gone"))
    assert batch.quality[p].tolist() == [q.GOOD, q.UNCERTAIN, q.BAD]
    assert batch.value[p][:2].tolist() == [1.5, 2.5]
    assert batch.quality[gone].tolist() == [q.BAD_NODE_UNKNOWN]
    assert [t for t in batch.text.to_pylist() if t] == ["auto"]
    found = {f.address: f for f in await driver(path).browse()}
    assert {n: (f.type, f.value) for n, f in found.items()} == {"p": ("float", 1.5), "mode": ("text", "auto"), "other": ("float", 9.0)}
    assert [f.address for f in await driver(path).browse("o")] == ["other"]


async def test_a_bad_stretch_of_classic_qualities_stays_bad(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    rows = [f"p,{1704067200 + i},{i},{192 if i < 10 else 0}" for i in range(20_000)]  # the second block knows 0 only
    path.write_text("\n".join(["tag,time,value,quality", *rows]))
    batch = await replay(driver(path), "p")
    assert batch.quality.tolist() == [q.GOOD] * 10 + [q.BAD] * 19_990


async def test_parquet_with_typed_columns(tmp_path: Path) -> None:
    time = pa.array(np.datetime64("2024-01-01T00:00:00", "us") + np.arange(3) * 1_000_000)
    table = pa.table({"ts": time, "Reactive.Power": pa.array([1, 2, None], pa.int32()), "on": [True, False, True], "who": ["a", None, "b"]})
    pq.write_table(table, tmp_path / "a.parquet")
    batch = await replay(driver(tmp_path / "a.parquet"), "Reactive.Power", "on", text=("who",))
    assert column(batch, "Reactive.Power") == [(0, 1), (1, 2)]
    assert column(batch, "on") == [(0, 1), (1, 0), (2, 1)]
    assert [t for t in batch.text.to_pylist() if t] == ["a", "b"]
    assert (np.diff(batch.time) >= 0).all()


async def test_a_folder_is_one_recording_in_time_order(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "z.csv").write_text("time,a\n2024-01-01 00:00:00,0\n2024-01-01 00:00:02,2\n")
    (tmp_path / "sub" / "b.csv").write_text("time,b\n2024-01-01 00:00:01,1\n2024-01-01 00:00:03,3\n")
    pq.write_table(pa.table({"time": [1704067204], "a": [4.0]}), tmp_path / "a.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and no more")
    (tmp_path / "notes.md").write_text("not a recording")
    file = driver(tmp_path)
    batch = await replay(file, "a", "b")
    assert ((batch.time - T0) // SECOND).tolist() == [0, 1, 2, 3, 4]
    assert batch.value.tolist() == [0, 1, 2, 3, 4]
    assert [p.file for p in file.problems] == [str(tmp_path / "broken.parquet")]


async def test_two_tags_of_one_column_both_get_it(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\n".join(WIDE))
    file, got = driver(path), []
    items = [Item(id=file.index.id(n), address="压力") for n in ("line1/p", "line2/p")]
    task = asyncio.create_task(file.run(items, got.append))
    while file.health.state != "stopped":
        await asyncio.sleep(0.002)
    task.cancel()
    batch = Batch.concat(got)
    assert column(batch, "line1/p") == column(batch, "line2/p") == [(0, 1.5), (1, 2.5)]


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        (b"", BadFrame, "no table"),
        (b"just some words\nand more words", BadFrame, "no table"),
        (b"1,2,3\n4,5,6\n", BadFrame, "no table"),
        (b"a,b\n", BadFrame, "no table"),
        (b"a,b\nx,y\n", BadAddress, "no time column"),
        (b"a,b\n1,2\n3,4\n", BadAddress, "one of: a, b"),
    ],
)
async def test_what_is_no_recording_says_so(tmp_path: Path, content: bytes, error: type[ConnectError], says: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(error) as raised:
        await driver(path).browse()
    assert says in str(raised.value)
    assert raised.value.where == str(path)
    assert raised.value.todo.zh


async def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.csv", tmp_path / "gone.parquet", tmp_path):
        with pytest.raises(Unreachable) as raised:
            await driver(path).browse()
        assert raised.value.where == str(path)
        assert raised.value.todo.zh
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"time,a\n" + b"1,2\n" * 9999)[:60])
    with pytest.raises(BadFrame):
        await driver(tmp_path / "cut.csv.gz").browse()


async def test_options_name_what_cannot_be_guessed(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("n,when,p\n1,02Jan2024:08h,5\n2,02Jan2024:09h,6\n")
    file = driver(path, time_column="when", time_format="%d%b%Y:%Hh", zone="Asia/Shanghai")
    assert column(await replay(file, "p"), "p") == [(86400, 5), (86400 + 3600, 6)]
    with pytest.raises(BadAddress, match="one of: n, when, p"):
        await driver(path, time_column="wen").browse()
    for wrong in ({"zone": "Mars"}, {"times": "now", "speed": 0}):
        with pytest.raises(ValueError, match=r"\w"):
            Options(path="x", **wrong)


async def test_unknown_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\n".join(WIDE))
    batch = await driver(path).read([Item(id=0, address="流量"), Item(id=1, address="gone")])
    assert batch.quality.tolist() == [q.GOOD, q.BAD_NODE_UNKNOWN]
    with pytest.raises(BadAddress, match="压力"):
        await replay(driver(path), "gone")


alphabet = st.sampled_from(b"time,value;tag\t\"'\n\r0123456789-:. abTZ\0\xef\xbb\xbf\xb2\xe2\xff")
table_bytes = st.lists(alphabet, max_size=200).map(bytes) | st.binary(max_size=200)
line = st.lists(
    st.sampled_from(["2024-01-01 00:00:00", "1704067200", "3,5", "7", "", '"', "x", "NaN", "1/2/2024 3:04"]), min_size=1, max_size=4
)


tables = st.tuples(st.sampled_from(",;\t"), st.lists(line, max_size=8)).map(
    lambda x: "\n".join([x[0].join(["time", "a"]), *map(x[0].join, x[1])]).encode()
)
headed = st.tuples(st.sampled_from([b"time,a,b\n", b"tag,time,value,quality\n", b"a;time\n"]), table_bytes).map(b"".join)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(content=table_bytes | headed | tables, suffix=st.sampled_from([".csv", ".csv.gz", ".parquet", ".txt"]))
def test_any_bytes_are_a_recording_or_a_clear_error(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"fuzz{suffix}"
    path.write_bytes(content)
    file = driver(path)

    async def all_of_it() -> None:
        found = await file.browse()
        assert all(File.check_address(f.address, f.type) is None for f in found if f.address.strip())
        batch = await replay(file, *(f.address for f in found))
        assert len(batch) == file.health.delivered

    try:
        asyncio.run(all_of_it())
    except RongheError as e:
        assert e.where  # noqa: PT017 either outcome is right
        assert e.what.zh  # noqa: PT017
        assert e.todo.zh  # noqa: PT017


async def test_units_in_column_names(tmp_path: Path) -> None:
    path = tmp_path / "units.csv"
    path.write_text("time,流量(m³/h),Oil temperature [°C],压力（bar）,CO2(tCO2),n (rpm),mode (kW)\n2024-01-01 00:00:00,1,2,3,4,5,auto\n")
    found = {f.path: f for f in await driver(path).browse()}
    assert {p: f.unit for p, f in found.items()} == {
        "流量": "m3/h", "Oil temperature": "Cel", "压力": "bar", "CO2(tCO2)": "", "n": "1/min", "mode": ""
    }  # fmt: skip
    assert found["流量"].address == "流量(m³/h)"
    assert found["mode"].type == "text"
