"""Worth: the interval covers the truth as often as it says, and where there is not enough to go by there is no number."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.guard.station import HEAT, POWER, SPEED, S, Station

from ronghe.errors import GuardError
from ronghe.guard import Measured
from ronghe.guard.student import t_cdf, t_quantile
from ronghe.guard.worth import LEAST_EFFECTIVE, cycle_means, difference, mean_and_variance, of_cycles
from ronghe.plant.model import Worth

Make = Callable[..., Station]
WORTH = Worth(tag=POWER, before="10min", settle="1min", after="10min", price=0.8)


def ar1(chance: np.random.Generator, n: int, phi: float, runs: int) -> NDArray[np.float64]:
    """float64[runs, n]: x(t) = phi x(t − 1) + noise of variance 1, in its stationary state."""
    noise = chance.standard_normal((runs, n))
    noise[:, 0] /= np.sqrt(1 - phi**2)
    x = np.empty((runs, n))
    x[:, 0] = noise[:, 0]
    for t in range(1, n):
        x[:, t] = phi * x[:, t - 1] + noise[:, t]
    return x


@pytest.mark.parametrize(
    ("n", "phi", "given", "covered"),  # measured over 2000 pairs, with what chance allows for 600 taken off
    [
        (600, 0.0, 0.99, 0.95),
        (600, 0.5, 0.99, 0.92),
        (600, 0.9, 0.99, 0.91),
        (600, 0.95, 0.75, 0.88),
        (60, 0.0, 0.99, 0.94),
        (60, 0.5, 0.90, 0.92),
    ],
)
def test_the_interval_covers_what_is_true(n: int, phi: float, given: float, covered: float) -> None:
    chance = np.random.default_rng(11)
    before, after = ar1(chance, n, phi, 600), ar1(chance, n, phi, 600) - 1.0
    found = [difference(b, a) for b, a in zip(before, after, strict=True)]
    told = [f for f in found if min(f[3], f[4]) >= LEAST_EFFECTIVE]
    assert len(told) >= given * 600
    assert sum(low <= -1.0 <= high for _, low, high, _, _ in told) >= covered * len(told)


@pytest.mark.parametrize(("n", "phi"), [(600, 0.97), (600, 0.99), (60, 0.8), (60, 0.9), (60, 0.97)])
def test_a_wrong_number_is_rarely_told_of_a_window_that_is_too_short(n: int, phi: float) -> None:
    chance = np.random.default_rng(12)
    found = [difference(b, a) for b, a in zip(ar1(chance, n, phi, 600), ar1(chance, n, phi, 600), strict=True)]
    wrong = [f for f in found if min(f[3], f[4]) >= LEAST_EFFECTIVE and not f[1] <= 0 <= f[2]]
    assert len(wrong) <= 0.06 * 600


def test_a_plain_t_test_would_have_been_far_too_sure() -> None:
    chance = np.random.default_rng(13)
    x = ar1(chance, 600, 0.9, 300)
    plain = [1.96 * np.sqrt(row.var(ddof=1) / 600) for row in x]
    assert sum(abs(row.mean()) <= half for row, half in zip(x, plain, strict=True)) < 0.5 * 300


def test_the_effective_sample_size_is_that_of_the_model() -> None:
    x = ar1(np.random.default_rng(14), 20_000, 0.8, 1)[0]
    assert mean_and_variance(x)[2] == pytest.approx(20_000 / 9, rel=0.1)
    assert mean_and_variance(x)[1] == pytest.approx(25 / 20_000, rel=1.0)


def test_a_constant_is_known_exactly() -> None:
    assert difference(np.full(50, 3.0), np.full(50, 2.0)) == (-1.0, -1.0, -1.0, 50.0, 50.0)


@pytest.mark.parametrize(
    ("p", "freedom", "t"), [(0.975, 1, 12.7062), (0.975, 6, 2.44691), (0.975, 12.5, 2.1692), (0.95, 30, 1.69726), (0.5, 3, 0)]
)
def test_student(p: float, freedom: float, t: float) -> None:  # tables; 12.5 between 2.17881 (12) and 2.16037 (13)
    assert t_quantile(p, freedom) == pytest.approx(t, abs=5e-4)
    assert t_cdf(t_quantile(p, freedom), freedom) == pytest.approx(p)


@pytest.mark.parametrize(("cycles", "covered"), [(4, 0.93), (5, 0.93), (10, 0.935)])
def test_cycles_as_observations_cover_what_is_true(cycles: int, covered: float) -> None:
    """A load cycle of 60 samples, a level of its own for each cycle, and noise: nominal 95 %."""
    chance, period = np.random.default_rng(8), 60
    shape, times = 5 * np.sin(np.arange(period) / period * 2 * np.pi), np.arange(cycles * period, dtype=np.int64) * S
    inside = 0
    for _ in range(1500):
        sides = []
        for level in (20.0, 18.0):
            own = np.repeat(chance.standard_normal(cycles), period)
            values = level + own + np.tile(shape, cycles) + 0.3 * chance.standard_normal(cycles * period)
            sides.append(cycle_means(times, values, 0, cycles * period * S, period * S))
        _, low, high = of_cycles(*sides)
        inside += low <= -2.0 <= high
    assert inside / 1500 >= covered


def test_whole_cycles_only_the_latest_ones() -> None:
    times = np.arange(10, dtype=np.int64) * S
    assert cycle_means(times, np.arange(10.0), 0, 10 * S, 3 * S).tolist() == [2.0, 5.0, 8.0]


# --- in the guard -------------------------------------------------------------------------------------------------------------------


async def act(s: Station, *, fall: float, noise: float = 0.5, before: int = 660, after: int = 680) -> Measured | None:
    """Writes after `before` seconds of power readings, goes on for `after`, gives the measured worth."""
    chance = np.random.default_rng(15)
    for _ in range(before):
        s.now += S
        s.values[POWER] = 20 + noise * chance.standard_normal()
        s.hear()
    case = await s.submit(1040.0)
    assert case.state == "writing"
    for _ in range(after):
        s.now += S
        s.values[POWER] = 20 - fall + noise * chance.standard_normal()
        s.hear()
        await s.guard.tick()
    return s.guard.case(case.id).worth


async def test_a_measured_effect_and_its_money(station: Make) -> None:
    s = station(worth=WORTH)
    worth = await act(s, fall=2.0)
    assert worth is not None
    assert worth.enough
    assert worth.effect == pytest.approx(-2.0, abs=0.2)
    assert worth.low is not None
    assert worth.high is not None
    assert worth.low < -2.0 < worth.high < 0
    assert worth.distinguishable
    assert worth.money == pytest.approx(1.6, abs=0.2)
    assert worth.money_low == pytest.approx(-worth.high * 0.8)
    assert worth.money_high == pytest.approx(-worth.low * 0.8)
    assert worth.n == (600, 600)
    assert "10 min before" in worth.baseline.en
    assert "CNY/h" in worth.text.zh
    entry = s.ledger.entries(kind="guard.worth")[0]
    assert entry.body["worth"]["effect"] == worth.effect
    await s.run(5)
    assert len(s.ledger.entries(kind="guard.worth")) == 1


async def test_nothing_happened_is_said(station: Make) -> None:
    worth = await act(station(worth=WORTH), fall=0.0)
    assert worth is not None
    assert worth.enough
    assert not worth.distinguishable
    assert "not distinguishable from zero" in worth.text.en
    assert "无显著差异" in worth.text.zh


async def test_too_short_a_past_is_no_baseline(station: Make) -> None:
    worth = await act(station(worth=WORTH), fall=2.0, before=120)
    assert worth is not None
    assert (worth.enough, worth.effect, worth.money) == (False, None, None)
    assert "before the action" in worth.text.en


async def test_few_samples_are_no_number(station: Make) -> None:
    worth = await act(station(worth=Worth(tag=POWER, before="20s", after="20s")), fall=2.0, after=30)
    assert worth is not None
    assert not worth.enough
    assert "30 needed" in worth.text.en


async def test_a_second_write_within_the_window_spoils_it(station: Make) -> None:
    s = station(worth=Worth(tag=POWER, before="1min", after="1min"))
    await act(s, fall=2.0, before=70, after=20)
    first = s.guard.cases()[0]
    await s.submit(1080.0)
    await s.run(120)
    worth = s.guard.case(first.id).worth
    assert worth is not None
    assert not worth.enough
    assert "another write" in worth.text.en


async def test_a_machine_that_runs_in_cycles_is_measured_by_whole_cycles(station: Make) -> None:
    worth = await act(station(worth=Worth(tag=POWER, before="1min", after="1min", cycle="10s")), fall=2.0, before=70, after=70)
    assert worth is not None
    assert worth.enough
    assert worth.effective == (6.0, 6.0)
    assert "6 whole cycles" in worth.baseline.en
    assert "6 个完整循环" in worth.baseline.zh
    assert worth.high is not None
    assert worth.high < 0


async def test_a_window_of_too_few_cycles_is_refused_when_the_plant_is_read(station: Make) -> None:
    with pytest.raises(GuardError, match="must each hold 4 cycles"):
        station(worth=Worth(tag=POWER, before="1min", after="1min", cycle="20s"))


async def test_a_hand_on_the_set_point_spoils_it(station: Make) -> None:
    s = station(worth=Worth(tag=POWER, before="1min", after="1min"))
    await act(s, fall=2.0, before=70, after=20)
    s.values[SPEED] = 1100.0
    await s.run(60)
    worth = s.guard.cases()[0].worth
    assert worth is not None
    assert not worth.enough
    assert "1100" in worth.text.en


async def test_a_history_that_fails_costs_the_number_and_nothing_else(station: Make) -> None:
    s = station(worth=Worth(tag=POWER, before="1min", after="1min"))

    def broken(*_: object) -> None:
        raise OSError("gone")

    s.guard._valuing._history = broken  # type: ignore[assignment]
    worth = await act(s, fall=2.0, before=70, after=80)
    assert worth is not None
    assert "gone" in worth.text.en
    assert s.guard.cases()[0].state == "done"


async def test_worth_is_measured_after_a_restart(station: Make) -> None:
    s = station(worth=Worth(tag=POWER, before="1min", after="1min"))
    await act(s, fall=2.0, before=70, after=20)
    s.restart()
    await s.run(60)
    worth = s.guard.cases()[0].worth
    assert worth is not None
    assert worth.enough


async def test_what_was_rolled_back_has_no_worth(station: Make) -> None:
    s = station(worth=Worth(tag=POWER, before="1min", after="1min"), watch=f"{HEAT} falls by 2 K within 20 s")
    assert await act(s, fall=2.0, before=70, after=100) is None
    assert s.guard.cases()[0].state == "rolled_back"


async def test_bare_falls_means_more_than_the_noise(station: Make) -> None:
    s = station(watch=f"{HEAT} falls within 60 s")
    chance = np.random.default_rng(16)

    async def live(seconds: int, heat: float) -> None:
        for _ in range(seconds):
            s.now += S
            s.values[HEAT] = heat + 0.5 * chance.standard_normal()
            s.hear()
            await s.guard.tick()

    await live(90, 60.0)
    case = await s.submit(1040.0)
    await live(63, 60.0)
    assert s.guard.case(case.id).state == "rolled_back", "noise alone is no effect"
    s.now += 60 * S
    await live(90, 60.0)
    case = await s.submit(1041.0)
    await live(20, 57.0)
    assert s.guard.case(case.id).state == "done"
