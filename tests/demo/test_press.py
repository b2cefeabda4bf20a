"""The press cell's camera and its operator."""

from __future__ import annotations

import struct

from ronghe.demo.gas import END, FAILS, frame
from ronghe.demo.press import FIRST, LOOKS, PAUSE, Operator, Recording, recording
from ronghe.picture import decode


def short() -> Recording:
    return Recording(fps=1.0, pictures=(b"0", b"1", b"2", b"3"), standing=(b"a", b"b"), occupied=(False, True, True, False))


def test_the_sequence_is_played_now_and_then_and_stands_between() -> None:
    shown = short()
    assert [shown.number(FIRST + t) for t in (-1, 0, 3.5, 4, 4 + PAUSE, 5 + PAUSE)] == [None, 0, 3, None, 0, 1]
    assert (shown.picture(0.0), shown.picture(1.0), shown.picture(FIRST + 2)) == (b"a", b"b", b"2")


def test_the_operator_gives_the_permit_back_once_when_the_zones_have_been_free() -> None:
    operator, given = Operator(short()), []
    permit = True
    for tick in range(40):
        at = FIRST + tick / 2
        permit = permit and tick != 3  # taken away while somebody is inside
        if operator.gives(permit, at):
            given.append(at - FIRST)
            permit = True
    assert given == [2.5 + LOOKS]  # the last picture with somebody inside was shown until 2.5 s


def test_an_operator_whose_permit_is_taken_again_at_once_looks_again() -> None:
    operator = Operator(short())
    assert [t for t in range(30) if operator.gives(False, 100.0 + t)] == list(range(0, 30, int(LOOKS)))


def test_the_shipped_sequence_has_a_picture_for_each_label_and_stands_without_being_frozen() -> None:
    shown = recording()
    assert len(shown.pictures) == len(shown.occupied) == 270
    assert not shown.occupied[0]
    assert not shown.occupied[-1]
    assert any(shown.occupied)
    first, second = (decode(p) for p in shown.standing[:2])
    assert first.shape == second.shape == decode(shown.pictures[0]).shape == (480, 640, 3)
    assert (first != second).mean() > 0.2


def test_one_gas_sensor_fails_and_the_others_do_not() -> None:
    def ppm(at: float) -> tuple[float, ...]:
        return struct.unpack(">3f", struct.pack(">6H", *frame(at)))

    assert all(v < 0.1 for t in range(int(FAILS)) for v in ppm(t))
    first, second, third = ppm(FAILS)
    assert second == END
    assert max(first, third) < 0.1
