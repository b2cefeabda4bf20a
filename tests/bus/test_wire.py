from __future__ import annotations

from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings

from ronghe.bus import subjects, wire
from ronghe.errors import BusError
from ronghe.signals import Batch, TagIndex

T = 1_767_225_600_000_000_000
names = st.text(min_size=1, max_size=12)
decimals = st.builds(lambda n, d: n / 10**d, st.integers(-(10**7), 10**7), st.integers(0, 6))
values = st.one_of(
    decimals,
    decimals.map(lambda v: float(np.float32(v))),
    st.floats(),
    st.sampled_from([np.nan, -np.nan, np.inf, -np.inf, -0.0, 0.0, 5e-324, 2.0**53 + 2, 1e300]),
    st.integers(0, 2**64 - 1).map(lambda b: float(np.array([b], np.uint64).view(np.float64)[0])),
)
int64 = st.integers(-(2**63), 2**63 - 1)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    index = TagIndex(draw(st.lists(names, max_size=6)))
    tags = draw(st.lists(names, min_size=1, max_size=5))
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from(tags),
                draw(st.sampled_from([int64, st.integers(T, T + 10**10), st.integers(0, 20).map(lambda s: T + s * 10**9)])),
                values,
                draw(st.sampled_from([st.sampled_from([0, 0x80000000]), st.integers(0, 2**32 - 1)])),
                st.none() | st.text(max_size=5),
            ),
            max_size=40,
        )
    )
    tag, time, value, quality, text = zip(*rows, strict=True) if rows else ((), (), (), (), ())
    written = draw(st.booleans()) and bool(rows)
    return Batch.of(index, tag, np.array(time, np.int64), np.array(value), np.array(quality, np.uint32), text if written else None)


def same(a: Batch, b: Batch) -> bool:
    return (
        [a.index.names[i] for i in a.tag] == [b.index.names[i] for i in b.tag]
        and a.time.tobytes() == b.time.tobytes()
        and a.value.tobytes() == b.value.tobytes()
        and a.quality.tobytes() == b.quality.tobytes()
        and (a.text or pa.nulls(len(a), pa.utf8())).equals(b.text or pa.nulls(len(b), pa.utf8()))
    )


@given(batches(), st.integers(0, 8))
@settings(deadline=None, max_examples=60)
def test_a_batch_comes_back_to_the_bit(batch: Batch, known: int) -> None:
    assert same(batch, wire.decode(wire.encode(batch), TagIndex(["another"])))
    table = wire.Table.of(batch.index.names[:known])
    decoder = wire.Decoder(TagIndex(["another", "one"]))
    assert len(decoder.decode(wire.encode_table(table))) == 0
    assert same(batch, decoder.decode(wire.encode(batch, table)))


def second(index: TagIndex, seed: int, kind: str) -> Batch:
    """5,000 process values of one second: several orders of magnitude, 1 to 3 decimals."""
    draw = np.random.default_rng(seed)
    n = len(index)
    value = draw.lognormal(4, 1.2, n) * draw.normal(1, 0.02, n)
    if kind != "noise":
        value = np.array([round(v, d) for v, d in zip(value.tolist(), draw.choice([1, 2, 3], n, p=[0.4, 0.4, 0.2]).tolist(), strict=True)])
    if kind == "float32":
        value = value.astype(np.float32).astype(np.float64)
    return Batch.of(index, np.arange(n, dtype=np.int32), T + seed * 10**9, value)


def irregular(n: int) -> TagIndex:
    draw = np.random.default_rng(0)
    return TagIndex(f"{'TPFL'[i % 4]}IC{draw.integers(10**7)}/pv" for i in range(n))


@pytest.mark.parametrize(("kind", "most"), [("decimal", 3.0), ("float32", 3.0), ("noise", 7.6)])
def test_what_a_sample_costs(kind: str, most: float) -> None:
    """Names without a pattern, once; noise in all 53 bits cannot cost 4 bytes."""
    index = irregular(5000)
    encoder = wire.Encoder("a/b/c", "n1", lambda: T)
    first = encoder.messages(second(index, 0, kind), "0")
    assert [subjects.origin(m.subject)[2] for m in first] == [subjects.TAGS, subjects.SAMPLES]
    later = encoder.messages(second(index, 1, kind), "1")
    assert len(later) == 1
    assert len(later[0].data) / 5000 < most


def test_tables_are_sent_again_and_new_names_at_once() -> None:
    now = T
    index = irregular(100)
    encoder = wire.Encoder("a/b/c", "n1", lambda: now, again=60.0)
    assert len(encoder.messages(second(index, 0, "decimal"), "0")) == 2
    index.id("a new one")
    lone = encoder.messages(second(index, 1, "decimal"), "1")
    assert len(lone) == 1, "one name more goes with the batch"
    now += 61 * 10**9
    again = encoder.messages(second(index, 2, "decimal"), "2")
    assert len(again) == 2
    decoder = wire.Decoder(TagIndex())
    decoder.decode(again[0].data)
    assert same(second(index, 1, "decimal"), decoder.decode(lone[0].data))
    index.ids(f"new {i}" for i in range(50))
    assert len(encoder.messages(second(index, 3, "decimal"), "3")) == 2


def test_what_is_lacking_is_named_and_what_came_is_kept(tmp_path: Path) -> None:
    index = irregular(20)
    table, batch = wire.Encoder("a/b/c", "n1", lambda: T).messages(second(index, 0, "decimal"), "0")
    with pytest.raises(wire.UnknownTags) as e:
        wire.Decoder(TagIndex(), tmp_path).decode(batch.data)
    assert e.value.hash == wire.Table.of(index.names).hash
    assert e.value.what.zh
    wire.Decoder(TagIndex(), tmp_path).decode(table.data)
    assert same(second(index, 0, "decimal"), wire.Decoder(TagIndex(["x"]), tmp_path).decode(batch.data)), "also after a restart"


def test_any_arrow_reader_opens_it() -> None:
    data = wire.encode(second(irregular(20), 0, "decimal"))
    with pa.ipc.open_stream(data) as reader:
        table = reader.read_all()
    assert table.num_rows == 20
    assert "TIC" in table.column("names")[0].as_py()
    assert b"columns" in table.schema.metadata[b"ronghe"]


def test_bytes_that_are_no_batch_are_said() -> None:
    data = wire.encode(second(irregular(200), 0, "decimal"))
    draw = np.random.default_rng(1)
    damaged = [b"", b"x" * 100, data[:-200], data[: len(data) // 2]]
    flips = draw.integers(0, len(data), 200).tolist()
    damaged += [data[:at] + bytes([data[at] ^ (1 << int(draw.integers(8)))]) + data[at + 1 :] for at in flips]
    said = []
    for some in damaged:
        try:
            wire.decode(some, TagIndex())  # a flipped bit of a value is a value: who must know, has a checksum around it
        except BusError as e:
            said.append(e.what.zh)
    assert len(said) >= 4
    assert all(said)
