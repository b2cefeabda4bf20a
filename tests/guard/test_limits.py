"""Guards of plant.toml, read: what is permitted in the set-point's unit, and everything that is wrong, with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.guard.station import HEAT, POWER, SPEED, VALVE, make_plant

from ronghe.errors import GuardError
from ronghe.guard import Guard, check_guards
from ronghe.guard.limits import compile_guard
from ronghe.plant.model import AppSpec, GuardSpec, Worth


def limits(**guard: Any) -> Any:
    plant = make_plant(**guard)
    return compile_guard(plant, next(iter(plant.guards.values())))


def test_everything_is_converted_to_the_set_points_unit() -> None:
    found = limits(envelope="10..24 /s", rate="1 /s per 2 min", fresh="5s", hold="1min")
    assert (found.low, found.high) == pytest.approx((600.0, 1440.0))
    assert found.rate == pytest.approx((60.0, 120_000_000_000))
    assert (found.fresh, found.hold) == (5_000_000_000, 60_000_000_000)


def test_a_rate_of_a_temperature_is_a_difference() -> None:
    plant = make_plant()
    tag = msgspec.structs.replace(plant.tags[SPEED], property="heat")
    plant.tags[SPEED] = tag
    found = compile_guard(plant, GuardSpec(tag=SPEED, envelope="300..350 K", rate="5 K per 1 min"))
    assert (found.low, found.high) == pytest.approx((26.85, 76.85))
    assert found.rate == pytest.approx((5.0, 60_000_000_000))


def test_the_tolerance_of_a_scaled_integer_is_half_a_step() -> None:
    plant = make_plant()
    plant.tags[SPEED] = msgspec.structs.replace(plant.tags[SPEED], scale=0.5)
    assert compile_guard(plant, plant.guards[SPEED]).tolerance == pytest.approx(0.25)
    assert limits().tolerance == pytest.approx(1450e-6)
    assert limits(tag=VALVE, envelope="0..20").tolerance == pytest.approx(0.5)


def test_a_signal_of_an_app_has_no_unit() -> None:
    plant = make_plant(worth=Worth(tag="apps/eye/rejected"))
    plant.apps["eye"] = AppSpec(name="eye", uses="quality.inspect")
    worth = compile_guard(plant, plant.guards[SPEED]).worth
    assert worth is not None
    assert (worth.tag, worth.unit) == ("apps/eye/rejected", "")


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"envelope": "600-1450 1/min"}, "envelope", "not a range"),
    ({"envelope": "600..1450"}, "envelope", "no unit"),
    ({"envelope": "600..1450 bar"}, "envelope", "does not convert"),
    ({"rate": "50 per 1 min"}, "rate", "no unit"),
    ({"interlock": "line9/x < 3"}, "interlock", "no tag"),
    ({"watch": f"{HEAT} falls"}, "watch", "within"),
    ({"watch": f"{HEAT} falls by 2 K within 3 s"}, "watch", "too short"),
    ({"fresh": "0s"}, "fresh", "more than 0"),
    ({"hold": "soon"}, "hold", "not a duration"),
    ({"worth": Worth(tag="line9/x")}, "worth", "no tag"),
    ({"worth": Worth(tag="apps/nobody/score")}, "worth", "no tag"),
    ({"worth": Worth(tag=POWER, after="0s")}, "worth", "more than 0"),
    ({"tag": "line9/x"}, "tag", "no tag"),
    ({"tag": HEAT, "envelope": "1..2 Cel"}, "tag", "not writable"),
    ({"tag": "line1/pump1/note"}, "tag", "text"),
]


@pytest.mark.parametrize(("guard", "field", "says"), WRONG)
def test_what_is_wrong_is_told(guard: dict[str, Any], field: str, says: str) -> None:
    with pytest.raises(GuardError) as caught:
        limits(**guard)
    assert says in caught.value.in_("en")
    assert f".{field}" in caught.value.where
    (problem,) = check_guards(make_plant(**guard))
    assert (problem.file, problem.severity) == ("plant.toml", "error")
    assert says in problem.what.en
    assert problem.what.zh


def test_all_of_a_guard_is_told_at_once_with_lines(tmp_path: Path) -> None:
    (tmp_path / "plant.toml").write_text(
        f'[guards."{VALVE}"]\nenvelope = "0..20"\n\n[guards."{SPEED}"]\nmode = "auto"\nenvelope = "x"\nrate = "y"\ninterlock = "z <"\n'
    )
    plant = msgspec.structs.replace(make_plant(envelope="x", rate="y", interlock="z <"), folder=str(tmp_path))
    assert [(p.line, p.what.en.split(":")[0]) for p in check_guards(plant)] == [(6, "envelope"), (7, "rate"), (8, "interlock")]


def test_a_sound_guard_has_no_problems() -> None:
    plant = make_plant(rate="50 1/min per 1 min", interlock=f"{HEAT} < 90 Cel", watch=f"{HEAT} falls within 10 min", worth=Worth(tag=POWER))
    assert check_guards(plant) == []


def test_a_guard_that_cannot_be_used_starts_nothing(tmp_path: Path) -> None:
    plant = make_plant(interlock="nonsense <")
    with pytest.raises(GuardError, match="interlock"):
        Guard(plant, None, None, None, clock=lambda: 0, folder=tmp_path)  # type: ignore[arg-type]
