"""The app as a node runs it: learns, finds, names, advises, remembers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from ronghe.apps.advising import Adviser, Expect
from ronghe.apps.maintenance.cause import Cause, Measured
from ronghe.apps.maintenance.detect import Detect
from ronghe.apps.maintenance.normal import learn
from ronghe.apps.maintenance.packing import KIND, match, pack, unpack
from ronghe.apps.maintenance.rules import applies_to
from ronghe.apps.maintenance.scorer import Scorer
from ronghe.apps.maintenance.settings import Options, Rule, Running
from ronghe.errors import AppError, ModelError
from ronghe.models import load, save
from ronghe.plant import GuardSpec, Plant
from ronghe.signals import quality as q
from ronghe.text import Text

from .conftest import NOISE, START, Bench, S, keys, process

COOLER = np.array([-14.0, 6.0, 0, 0, 0])  # efficiency falls, the oil grows warm
LOW = "line1/rig/cooler_efficiency_low"
RULE = Rule(
    when="cooler_efficiency low",
    set="fan",
    step=15,
    within="2min",
    expect=Expect(tag="oil_temperature", low=-8, high=-1),
    valid_while="line1/rig/running",
)

Make = Callable[..., Bench]


def test_learns_then_finds_names_and_ends(bench: Make) -> None:
    b = bench()
    rows = process(900)
    b.feed(rows[:200])
    assert b.signals[-1] == {"learned": 0.5, "judged": 0.0}
    b.feed(rows[200:600])
    assert b.signals[-1].keys() == {"score", "judged"}
    assert b.signals[-1]["score"] < 1
    assert b.findings == []
    found = b.feed(rows[600:700] + COOLER)
    assert keys(found) == [(LOW, True)]
    last = found[-1]
    assert last.text.en.startswith("Cooling efficiency of Test rig is 3")
    assert last.text.en.endswith("% below what normal operation would show; oil temperature follows")
    assert last.text.zh.startswith("试验台的冷却效率比正常运行应有的值低 3")
    assert last.text.zh.endswith("%，油温随之变化")
    assert last.action.en.startswith("See what sets the cooling efficiency: 31")
    first = found[-1].evidence[0]
    assert (first.tag, first.unit) == ("line1/rig/cooler_efficiency", "%")
    assert first.expected == pytest.approx(45, abs=1)
    assert last.score > 3
    assert last.model == b.app.model  # type: ignore[attr-defined]
    ended = b.feed(rows[700:760])
    assert keys(ended)[-1] == (LOW, False)
    assert ended[-1].text.zh == "试验台的冷却效率已恢复正常"


def test_wants_the_measured_numbers_and_what_its_rules_need(bench: Make) -> None:
    b = bench(advise=(RULE,), running=Running(tag="running", above=0.5))
    assert b.tags == tuple(
        f"line1/rig/{t}" for t in ("cooler_efficiency", "oil_temperature", "pressure", "flow", "power", "fan", "running")
    )


def test_a_hunting_loop_is_said_as_such(bench: Make) -> None:
    b = bench()
    rows = process(700)
    b.feed(rows[:500])
    rows[500:, 2] += 12 * np.sin(np.arange(200) * 2 * np.pi / 6)
    found = b.feed(rows[500:])
    assert keys(found) == [("line1/rig/pressure_unsteady", True)]
    assert "fluctuates" in found[0].text.en
    assert "压力波动为正常运行时的" in found[0].text.zh


def test_a_short_disturbance_is_no_finding(bench: Make) -> None:
    b = bench(hold="30s")
    rows = process(800)
    b.feed(rows[:500])
    b.feed(rows[500:506] + 2 * COOLER)
    b.feed(rows[506:])
    assert b.findings == []


def test_advice(bench: Make) -> None:
    b = bench(advise=(RULE,))
    rows = process(900)
    b.feed(rows[:500])
    found = b.feed(rows[500:600] + COOLER, fan=40.0)
    (advice,) = b.advice
    assert (advice.tag, advice.value, advice.app, advice.finding) == ("line1/rig/fan", 55.0, "rig", LOW)
    assert advice.expires - advice.time == 15 * 60 * S
    assert advice.expected is not None
    assert (advice.expected.tag, advice.expected.low, advice.expected.within, advice.expected.unit) == (
        "line1/rig/oil_temperature",
        -8,
        120,
        "Cel",
    )
    assert advice.valid_while == "line1/rig/running"
    assert advice.reason == found[0].text
    assert advice.evidence[0].tag == "line1/rig/cooler_efficiency"
    assert advice.model == found[0].model != ""
    assert found[0].action.en == "Set fan set-point from 40.0 % to 55.0 %"
    assert found[0].action.zh == "将风机设定值由 40.0 % 调至 55.0 %"


@pytest.mark.parametrize(
    ("outcome", "steps"),
    [("", 4), ("done", 9), ("rejected", 1), ("refused", 1), ("waiting", 1)],
)
def test_the_next_step_waits_for_the_outcome(bench: Make, outcome: str, steps: int) -> None:
    """In 8 minutes of a standing cause, two minutes a step: silence, success, and a no each have their pace."""
    b = bench(advise=(RULE,))
    rows = process(1000)
    b.feed(rows[:500])
    for minute in range(8):
        b.feed(rows[500 + 60 * minute : 560 + 60 * minute] + COOLER)
        if outcome and b.advice:
            b.app.feedback(b.advice[-1].id, outcome)
    assert len(b.advice) == min(steps, 8)
    assert len({a.id for a in b.advice}) == len(b.advice)


@pytest.fixture
def guarded(plant: Plant, tmp_path: Path) -> Make:
    """As `bench`, with a guard on the fan."""

    def make(guard: dict[str, str], **options: object) -> Bench:
        tags = {**plant.tags, "line1/rig/fan": replace(plant.tags["line1/rig/fan"], connection="plc", address="1")}
        spec = GuardSpec(tag="line1/rig/fan", **{"envelope": "400..950 [ppth]", **guard})
        state = tmp_path / "guarded"
        state.mkdir(exist_ok=True)
        made = replace(plant, tags=tags, guards={spec.tag: spec})
        return Bench(Detect("rig", made, "line1/rig", Options(**{"learn": "400s", **options}), state, clock=lambda: START))

    return make


def test_no_step_leads_out_of_the_envelope_and_its_end_is_told_once(guarded: Make) -> None:
    b = guarded({}, advise=(RULE,))
    rows = process(1600)
    b.feed(rows[:500])
    b.feed(rows[500:560] + COOLER, fan=89.0)
    (advice,) = b.advice
    assert advice.value == pytest.approx(95.0)
    assert advice.expected is not None
    assert (advice.expected.low, advice.expected.high) == (pytest.approx(-8 * 6 / 15), pytest.approx(-1 * 6 / 15))
    assert b.findings[-1].action.en == "Set fan set-point from 89.0 % to 95.0 %"
    b.app.feedback(advice.id, "done")
    told = b.feed(rows[560:1500] + COOLER, fan=95.0)
    assert b.advice == [advice]
    ends = [f for f in told if "envelope" in f.action.en]
    assert [f.action for f in ends] == [
        Text("Fan set-point is at the upper end of its envelope (95.0 %)", "风机设定值已达允许范围上限（95.0 %）")
    ]
    assert ends[0].active
    assert ends[0].key == LOW


def test_the_next_step_waits_until_the_guard_can_allow_it(guarded: Make) -> None:
    b = guarded({"hold": "60s", "rate": "20 % per 3 min"}, advise=(RULE,))
    rows = process(1000)
    b.feed(rows[:500])
    b.feed(rows[500:520] + COOLER, fan=40.0)
    b.app.feedback(b.advice[0].id, "watching")
    b.feed(rows[520:530] + COOLER, fan=55.0)
    b.app.feedback(b.advice[0].id, "done")
    b.feed(rows[530:800] + COOLER, fan=55.0)
    written = START + 519 * S
    assert [(a.value, a.time - written) for a in b.advice[1:]] == [(70.0, 181 * S)]


def test_a_refused_step_counts_as_no_write(guarded: Make) -> None:
    b = guarded({"hold": "10min"}, advise=(replace(RULE, again="1min"),))
    rows = process(1000)
    b.feed(rows[:500])
    b.feed(rows[500:520] + COOLER, fan=40.0)
    b.app.feedback(b.advice[0].id, "refused")
    b.feed(rows[520:600] + COOLER, fan=40.0)
    assert len(b.advice) == 2


def test_a_roll_back_is_a_write(guarded: Make) -> None:
    b = guarded({"hold": "2min"}, advise=(replace(RULE, again="1s"),))
    rows = process(1000)
    b.feed(rows[:500])
    b.feed(rows[500:520] + COOLER, fan=40.0)
    b.app.feedback(b.advice[0].id, "watching")
    b.feed(rows[520:540] + COOLER, fan=55.0)
    b.app.feedback(b.advice[0].id, "rolled_back")
    b.feed(rows[540:900] + COOLER, fan=40.0)
    assert b.advice[1].time - START == (539 + 121) * S


LATE = Rule(when="cooler_efficiency low", set="fan", step=-5, after="2min", within="1min", again="1min")


def test_a_last_resort_comes_only_when_the_finding_has_stood(bench: Make) -> None:
    b = bench(advise=(RULE, LATE))
    rows = process(1000)
    b.feed(rows[:500])
    b.feed(rows[500:560] + COOLER)
    first = b.advice[0].time
    b.app.feedback(b.advice[0].id, "rejected")  # by the first rule nothing more is due
    b.feed(rows[560:700] + COOLER)
    assert [(a.value, a.time - first) for a in b.advice[:2]] == [(65.0, 0), (45.0, 120 * S)]


def test_a_finding_that_ends_before_brings_no_last_resort(bench: Make) -> None:
    b = bench(advise=(LATE,))
    rows = process(1400)
    b.feed(rows[:500])
    for start in (500, 800):
        b.feed(rows[start : start + 100] + COOLER)
        b.feed(rows[start + 100 : start + 300])
    assert [k for k, active in keys(b.findings) if active] == [LOW, LOW]
    assert b.advice == []  # neither stood for two minutes; the time of the first does not count for the second


def test_when_a_last_resort_is_due(plant: Plant) -> None:
    adviser = Adviser("rig", plant, "line1/rig", (LATE,))
    tag = "line1/rig/cooler_efficiency"
    cause = Cause(0, Measured(tag, "cooler_efficiency", Text("cooler efficiency"), "%"), "low", 30.0, 45.0)

    def advise(now: int) -> int:
        return len(adviser.advise(applies_to(cause, "line1/rig"), LOW, (), Text("so"), now, {"line1/rig/fan": 50.0}, ""))

    assert adviser.due(LOW, 0)
    assert advise(0) == 0
    assert not adviser.due(LOW, 119 * S)
    assert advise(119 * S) == 0
    assert adviser.due(LOW, 120 * S)
    assert advise(120 * S) == 1
    assert not adviser.due(LOW, 179 * S)
    adviser.ended(LOW)
    assert adviser.due(LOW, 180 * S)
    assert advise(180 * S) == 0  # it counts from the beginning


def test_a_new_finding_may_be_advised_on_again(bench: Make) -> None:
    b = bench(advise=(RULE,))
    rows = process(1200)
    b.feed(rows[:500])
    b.feed(rows[500:600] + COOLER)
    b.app.feedback(b.advice[-1].id, "rejected")
    b.feed(rows[600:900])
    b.feed(rows[900:1000] + COOLER)
    assert len(b.advice) == 2


def test_no_advice_without_the_present_set_point_or_for_another_cause(bench: Make) -> None:
    b = bench(advise=(RULE,))
    rows = process(900)
    b.feed(rows[:500])
    b.feed(rows[500:600] + COOLER, fan=float("nan"))
    assert b.advice == []
    assert b.findings[0].action.en.startswith("See what sets")
    b.feed(rows[600:700], fan=float("nan"))
    b.feed(rows[700:800] - COOLER, fan=40.0)
    assert b.findings[-1].key == "line1/rig/cooler_efficiency_high"
    assert b.advice == []


@pytest.mark.parametrize(
    ("rule", "what"),
    [
        (Rule(when="cooler_efficiency", set="fann", step=1), "did you mean"),
        (Rule(when="cooler_efficiency", set="pressure", step=1), "cannot be written"),
        (Rule(when="cooler_efficiency", set="fan"), "either step or to"),
        (Rule(when="cooler_eficiency", set="fan", to=1), "cooler_efficiency"),
        (Rule(when="cooler_efficiency lower", set="fan", to=1), "names no property"),
        (Rule(when="cooler_efficiency", set="fan", to=1, expect=Expect(tag="oil", low=0, high=1)), "no tag"),
    ],
)
def test_a_wrong_rule_is_said_at_the_start(bench: Make, rule: Rule, what: str) -> None:
    with pytest.raises(AppError, match=what):
        bench(advise=(rule,))


def test_a_dead_sensor_is_said_as_such_and_never_as_a_process_change(bench: Make) -> None:
    b = bench(silent="30s")
    rows = process(900)
    b.feed(rows[:500])
    rows[500:600, 2] = np.nan
    found = b.feed(rows[500:600], quality=q.BAD_SENSOR_FAILURE)
    assert keys(found) == [("line1/rig/pressure_sensor", True)]
    assert (
        found[0].text.en == "Pressure (line1/rig/pressure) has had no good value for 30.0 s: sensor failure; the state is judged without it"
    )
    assert "传感器故障" in found[0].text.zh
    assert found[0].priority == "low"
    assert b.signals[-1]["judged"] == 1.0
    assert keys(b.feed(rows[600:700])) == [("line1/rig/pressure_sensor", False)]
    rows[700:, 2] = np.nan
    found = b.feed(rows[700:800] + COOLER)
    assert (LOW, True) in keys(found), "the rest is still judged"


def test_a_stuck_sensor(bench: Make) -> None:
    b = bench(silent="30s")
    rows = process(800)
    b.feed(rows[:500])
    rows[500:600, 3] = rows[499, 3]
    found = b.feed(rows[500:600])
    assert keys(found) == [("line1/rig/flow_sensor", True)]
    assert "probably stuck" in found[0].text.en
    assert "卡死" in found[0].text.zh


def test_a_value_that_stands_at_nothing_is_the_process(bench: Make) -> None:
    b = bench(silent="30s")
    rows = process(800)
    b.feed(rows[:500])
    rows[500:600, 3] = 0.0
    assert ("line1/rig/flow_low", True) in keys(b.feed(rows[500:600]))


def test_too_little_to_judge_by(bench: Make) -> None:
    b = bench(silent="30s")
    rows = process(800)
    b.feed(rows[:500])
    rows[500:600, 1:] = np.nan
    found = b.feed(rows[500:600])
    assert ("line1/rig/not_judged", True) in keys(found)
    assert b.signals[-1] == {"judged": 0.0}
    found = b.feed(rows[600:700])
    assert ("line1/rig/not_judged", False) in keys(found)
    assert b.signals[-1]["judged"] == 1.0


def test_rows_while_it_stands_still_are_out_of_scope(bench: Make) -> None:
    b = bench(running=Running(tag="running", above=0.5, settle="20s"))
    rows = process(900)
    b.feed(np.zeros((100, 5)), running=0.0)
    assert b.signals[-1] == {"judged": 0.0}
    b.feed(rows[:420], running=1.0)  # 20 rows to settle, 400 to learn from
    assert b.signals[-1] == {"learned": 1.0, "judged": 0.0}
    b.feed(rows[420:500], running=1.0)
    assert b.signals[-1]["judged"] == 1.0
    b.feed(np.zeros((50, 5)), running=0.0)
    assert b.signals[-1] == {"judged": 0.0}
    b.feed(np.zeros((20, 5)), running=1.0)  # still running up
    assert b.signals[-1] == {"judged": 0.0}
    b.feed(rows[500:600], running=1.0)
    assert b.signals[-1]["judged"] == 1.0
    assert b.findings == []


def test_what_was_learned_outlives_the_process(bench: Make) -> None:
    first = bench()
    rows = process(700)
    first.feed(rows[:450])
    first.app.close()
    again = bench()
    assert again.app.model == first.app.model  # type: ignore[attr-defined]
    a, b = Scorer(first.app._scorer.normal), Scorer(again.app._scorer.normal)  # type: ignore[attr-defined]
    for row in rows[450:]:
        x, y = a.step(row), b.step(row)
        assert x == y or (x != x and y != y)


def test_what_stood_at_a_stop_and_is_over_ends_after_the_restart(bench: Make) -> None:
    first = bench(silent="30s")
    rows = process(1300)
    first.feed(rows[:450])
    rows[450:550, 3] = np.nan
    first.feed(rows[450:550] + COOLER)
    assert {f.key for f in first.findings} == {LOW, "line1/rig/flow_sensor"}
    again = bench(silent="30s")  # no close: it was killed
    again.feed(rows[550:600] + COOLER)
    assert keys(again.findings) == [(LOW, True)]
    again.feed(rows[600:630] + COOLER)
    assert keys(again.findings) == [(LOW, True), ("line1/rig/flow_sensor", False)]
    third = bench(silent="30s")
    third.feed(rows[700:800])
    assert keys(third.findings) == [(LOW, False)]
    fourth = bench(silent="30s")
    fourth.feed(rows[800:900])
    assert fourth.findings == []


def test_a_full_disk_keeps_no_finding_from_being_told(bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    b = bench()
    rows = process(700)
    b.feed(rows[:399])

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    monkeypatch.setattr(Path, "write_bytes", full)
    b.feed(rows[399:450])
    assert b.signals[-1]["judged"] == 1.0
    b.feed(rows[450:550] + COOLER)
    assert keys(b.findings) == [(LOW, True)]
    monkeypatch.undo()
    again = bench()
    again.feed(rows[550:600])
    assert again.signals[-1]["judged"] == 1.0, "the rows were still there"


def test_learning_goes_on_after_a_restart_even_after_a_torn_row(bench: Make, tmp_path: Path) -> None:
    first = bench()
    rows = process(700)
    first.feed(rows[:300])
    first.app.close()
    (file,) = (tmp_path / "state").glob("learning-*.rows")
    file.write_bytes(file.read_bytes()[:-7])
    again = bench()
    again.feed(rows[300:301])
    assert again.signals[-1] == {"learned": 0.75, "judged": 0.0}
    again.feed(rows[301:450])
    assert again.signals[-1]["judged"] == 1.0
    assert list((tmp_path / "state").glob("learning-*")) == []


def test_other_tags_are_learned_anew(bench: Make) -> None:
    first = bench()
    first.feed(process(450))
    first.app.close()
    again = bench(exclude=("power",))
    assert len(again.app.wants().tags) == 4
    assert again.app.model == ""  # type: ignore[attr-defined]
    again.app.close()


def test_a_damaged_memory_is_learned_anew(bench: Make, tmp_path: Path) -> None:
    first = bench()
    first.feed(process(450))
    (tmp_path / "state" / "normal.model").write_bytes(b"rubbish")
    again = bench()
    again.feed(process(1))
    assert again.signals[-1]["judged"] == 0.0
    again.app.close()


def test_a_given_model_in_another_order_gives_the_same_scores(bench: Make, plant: Plant) -> None:
    rows = process(700)
    own = bench()
    order = [3, 0, 4, 1, 2]
    normal = learn(rows[:400][:, order])
    package = pack(normal, [own.app.columns[j] for j in order], rows[:400], name="m", created=START)  # type: ignore[attr-defined]
    save(Path(plant.folder) / "given.model", package)
    own.app.close()
    b = bench(model="given.model")
    b.feed(rows[400:])
    scorer = Scorer(normal)
    expected = [scorer.step(r) for r in rows[400:][:, order]]
    assert b.signals[-1]["score"] == expected[-1]
    assert b.app.close() is None


def test_a_model_that_does_not_fit_is_refused(bench: Make, plant: Plant, tmp_path: Path) -> None:
    own = bench()
    rows = process(400)
    columns = list(own.app.columns)  # type: ignore[attr-defined]
    own.app.close()
    path = Path(plant.folder) / "m"
    with pytest.raises(ModelError, match="no such model package"):
        bench(model="m")
    package = pack(learn(rows), columns, rows, name="m", created=START)
    save(path, package)
    assert match(load(path), columns) == [0, 1, 2, 3, 4]
    with pytest.raises(ModelError, match=r"needs line1/rig/cooler_efficiency"):
        bench(model="m", exclude=("cooler_efficiency",))
    unit = columns[1].__class__(columns[1].tag, columns[1].prop, columns[1].name, "K")
    save(path, pack(learn(rows), [columns[0], unit, *columns[2:]], rows, name="m", created=START))
    with pytest.raises(ModelError, match="learned in 'K'"):
        bench(model="m")
    save(path, package.__class__(package.manifest, {**package.arrays, "scale": np.ones(3)}))
    with pytest.raises(ModelError, match="do not fit"):
        bench(model="m")
    save(path, package.__class__(package.manifest, {"center": np.ones(5)}))
    with pytest.raises(ModelError, match="missing"):
        unpack(load(path))


def test_package_says_where_it_comes_from(bench: Make, tmp_path: Path) -> None:
    b = bench()
    b.feed(process(400))
    m = load(tmp_path / "state" / "normal.model").manifest
    assert (m.kind, m.name, m.created, m.training.rows) == (KIND, "rig", START, 400)
    assert (m.training.start, m.training.end) == (START, START + 399 * S)
    assert [(i.name, i.property, i.unit) for i in m.inputs][1] == ("line1/rig/oil_temperature", "oil_temperature", "Cel")
    low, high = m.inputs[1].low, m.inputs[1].high
    assert low is not None
    assert high is not None
    assert low < 40 < high


def test_nothing_to_judge(plant: Plant, tmp_path: Path) -> None:
    with pytest.raises(AppError, match="no measured numbers"):
        Detect("x", plant, "line9", Options(), tmp_path)
    with pytest.raises(AppError, match="no tag"):
        Detect("x", plant, "line1/rig", Options(running=Running(tag="runing")), tmp_path)


def test_tags_can_be_chosen(plant: Plant, tmp_path: Path) -> None:
    app = Detect("x", plant, "line1/rig", Options(tags=("*pressure", "flow")), tmp_path)
    assert app.wants().tags == ("line1/rig/pressure", "line1/rig/flow")
    app.close()


def test_news_of_a_standing_finding_is_rare(bench: Make) -> None:
    b = bench()
    rows = process(3000)
    b.feed(rows[:500])
    b.feed(rows[500:] + COOLER + np.random.default_rng(5).normal(size=(2500, 5)) * NOISE)
    assert len([f for f in b.findings if f.key == LOW]) < 10
