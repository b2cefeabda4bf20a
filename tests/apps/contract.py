"""The contract that every app keeps, as tests: subclass `AppContract` in an app's own tests and give it a `make` fixture; for an app that
looks at pictures `PictureContract`.

    @pytest.fixture
    def make(plant):
        return lambda state: Detect("rig", plant, "line1/rig", Options(), state)

    class TestDetectContract(AppContract):
        rows = process(600)              # float64[n, k] over wants().tags: something worth finding is in them

    class TestInspectContract(PictureContract):
        pictures = recording()           # Pictures of its image tags: something worth finding is in them, and ends

`make(state)` gives a new app over a state folder; two apps over the same folder, one after the other, are one app that was restarted.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from ronghe import plugins
from ronghe.apps.contract import App, Finding, Question, Result
from ronghe.errors import RongheError
from ronghe.guard import Advice
from ronghe.picture import Picture
from ronghe.signals import Window
from ronghe.signals import quality as q
from ronghe.text import Text

Make = Callable[[Path], App]
Floats = NDArray[np.float64]


def window(app: App, rows: Floats, start: int = 0, codes: NDArray[np.uint32] | None = None) -> Window:
    """Rows as a grid gives them: NaN where a value is not good."""
    every = round(app.wants().every * 1e9)
    time = 1_700_000_000_000_000_000 // every * every + every * np.arange(start, start + len(rows), dtype=np.int64)
    if codes is None:
        codes = np.where(np.isnan(rows), np.uint32(q.BAD_NO_COMMUNICATION), np.uint32(q.GOOD))
    return Window(app.wants().tags, time, rows, codes, np.where(np.isnan(rows), np.inf, 0.0))


def feed(app: App, rows: Floats, at_once: int = 1) -> list[Result]:
    """The results of rows given `at_once` at a time."""
    return [app.step(window(app, rows[i : i + at_once], i)) for i in range(0, len(rows), at_once)]


def findings(results: list[Result]) -> list[Finding]:
    return [f for r in results for f in r.findings]


def show(app: App, pictures: list[Picture]) -> list[Result]:
    """The results of pictures, each with a row of good values at its time."""
    out = []
    for p in pictures:
        out.append(app.see(p))
        wants = app.wants()
        value = np.array([[float(p.number) if t == p.tag else 1.0 for t in wants.tags]])
        codes = np.array([[p.quality if t == p.tag else q.GOOD for t in wants.tags]], np.uint32)
        out.append(app.step(Window(wants.tags, np.array([p.time]), value, codes, np.zeros_like(value))))
    return out


class Contract:
    """Every app keeps these. What `results` feeds it must make it find something that later ends.

    `controls`: the app is a controller, which advises at every step and not only when it has found something.
    """

    controls = False

    def results(self, app: App, start: int = 0, end: int | None = None) -> list[Result]:
        """The results of all input, or of a part of it."""
        raise NotImplementedError

    @property
    def size(self) -> int:
        """How much input there is."""
        raise NotImplementedError

    @pytest.fixture
    def state(self, tmp_path: Path) -> Path:
        folder = tmp_path / "app-state"
        folder.mkdir()
        return folder

    @pytest.fixture
    def app(self, make: Make, state: Path) -> App:
        return make(state)

    def test_it_is_found_by_its_name(self, app: App) -> None:
        assert plugins.load("ronghe.apps", app.uses) is type(app)
        assert app.uses.count(".") == 1, "scenario.verb"

    def test_its_options_have_defaults_that_people_can_read(self, app: App) -> None:
        schema = msgspec.json.schema(type(app).Options)
        assert schema
        assert type(app).Options.__struct_config__.frozen

    def test_what_it_wants_is_in_the_plant(self, app: App) -> None:
        wants = app.wants()
        assert wants.every > 0
        assert len(set(wants.tags)) == len(wants.tags) > 0
        assert set(wants.tags) | set(wants.pictures) <= set(app.plant.tags)
        assert app.wants() == wants

    def test_pages_have_two_languages_and_slugs_of_their_own(self, app: App) -> None:
        assert len({p.slug for p in app.pages}) == len(app.pages)
        assert all(p.title.zh for p in app.pages)

    def test_what_it_finds(self, app: App) -> None:
        found = findings(self.results(app))
        assert found, "give it rows in which something is to be found"
        standing: set[str] = set()
        for f in found:
            assert f.app == app.name
            assert f.equipment == app.equipment
            assert f.text.en
            assert f.text.zh
            assert not f.action.en or f.action.zh
            assert f.active or f.key in standing, "what ends has begun"
            (standing.add if f.active else standing.discard)(f.key)
            for e in f.evidence:
                assert e.tag in app.plant.tags or e.tag.startswith(f"apps/{app.name}/")
                assert 0 <= e.share <= 1 + 1e-9
                assert np.isfinite([e.value, e.expected]).all()
        times = [f.time for f in found]
        assert times == sorted(times)
        assert any(not f.active for f in found)

    def test_advice_is_about_a_finding_and_a_set_point(self, app: App) -> None:
        results = self.results(app)
        keys = {f.key for f in findings(results)}
        advice = [a for r in results for a in r.advice]
        assert len({a.id for a in advice}) == len(advice)
        for a in advice:
            assert isinstance(a, Advice)
            assert app.plant.tags[a.tag].writable
            assert a.finding in keys or (self.controls and not a.finding)
            assert a.expires > a.time
            assert np.isfinite(a.value)
            assert a.reason.zh

    def test_results_are_plain_data(self, app: App) -> None:
        for result in self.results(app):
            assert msgspec.json.decode(msgspec.json.encode(result), type=Result) == result
            assert all(np.isfinite(v) for v in result.signals.values())

    def test_the_same_rows_give_the_same_findings(self, make: Make, tmp_path: Path) -> None:
        said = []
        for name in "ab":
            (tmp_path / name).mkdir()
            said.append([(f.key, f.active, f.time, f.text) for f in findings(self.results(make(tmp_path / name)))])
        assert said[0] == said[1]

    def test_it_goes_on_after_a_restart(self, make: Make, state: Path) -> None:
        """However often it is stopped, the same is found in the end; a condition may be told again, none is forgotten."""
        first = make(state)
        whole = {f.key for f in findings(self.results(first))}
        first.close()
        for old in state.rglob("*"):
            if old.is_file():
                old.unlink()
        cuts = [0, self.size // 5, self.size // 3, self.size]
        keys: set[str] = set()
        for a, b in itertools.pairwise(cuts):
            app = make(state)
            keys |= {f.key for f in findings(self.results(app, a, b))}
            app.close()
        assert whole <= keys

    def test_feedback_on_anything_is_borne(self, app: App) -> None:
        app.feedback("no such advice", "done")
        for outcome in ("advised", "waiting", "refused", "writing", "watching", "rolled_back", "failed", "expired", "rejected"):
            app.feedback("x", outcome)
        app.close()
        app.close()

    def test_it_writes_only_into_its_own_folder(self, make: Make, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        here = state.parent / "elsewhere"
        here.mkdir()
        monkeypatch.chdir(here)
        self.results(make(state))
        assert list(here.iterdir()) == []

    def test_its_words(self, app: App) -> None:
        assert all(isinstance(f.text, Text) for f in findings(self.results(app)))

    def test_what_may_be_asked_is_said_and_nothing_else_is_answered(self, app: App) -> None:
        assert set(app.verbs.values()) <= {"read", "operate", "change"}
        with pytest.raises(RongheError):
            app.ask(Question(verb="no such verb"))
        for verb, right in app.verbs.items():
            with contextlib.suppress(RongheError):  # it lacks an argument
                answer = app.ask(Question(verb=verb))
                assert isinstance(answer, bytes) or msgspec.json.encode(answer), (verb, right)


class AppContract(Contract):
    """Every app that is given rows keeps these, too."""

    rows: Floats

    def results(self, app: App, start: int = 0, end: int | None = None) -> list[Result]:
        return feed(app, self.rows[start:end])

    @property
    def size(self) -> int:
        return len(self.rows)

    def test_many_rows_at_once_are_as_good_as_one_by_one(self, make: Make, tmp_path: Path) -> None:
        said = []
        for at_once in (1, 7, 100):
            folder = tmp_path / str(at_once)
            folder.mkdir()
            said.append([(f.key, f.active, f.time) for f in findings(feed(make(folder), self.rows, at_once))])
        assert said[0] == said[1] == said[2]

    def test_no_rows_are_nothing(self, app: App) -> None:
        assert app.step(window(app, self.rows[:0])) == Result()

    def test_nothing_good_is_borne(self, app: App) -> None:
        feed(app, self.rows)
        feed(app, np.full((200, self.rows.shape[1]), np.nan))
        feed(app, self.rows)


class PictureContract(Contract):
    """Every app that looks at pictures keeps these, too."""

    pictures: list[Picture]

    def results(self, app: App, start: int = 0, end: int | None = None) -> list[Result]:
        return show(app, self.pictures[start:end])

    @property
    def size(self) -> int:
        return len(self.pictures)

    def test_what_it_looks_at_are_images(self, app: App) -> None:
        assert app.wants().pictures
        assert {p.tag for p in self.pictures} <= set(app.wants().pictures)
        assert all(app.plant.property_of(t).type == "image" for t in app.wants().pictures)

    def test_whatever_it_is_shown_is_borne(self, app: App) -> None:
        """Nothing to see, one pixel, gray, all black, all white, another size, a time that goes back."""
        black = np.zeros((64, 48, 3), np.uint8)
        one = self.pictures[0]
        for i, pixels in enumerate((None, black[:1, :1], black[..., 0], black, black + 255, None)):
            code = q.BAD if pixels is None else q.GOOD
            result = app.see(Picture(one.tag, one.time - i, i, pixels, code, Text("x", "x") if pixels is None else None))
            assert all(np.isfinite(v) for v in result.signals.values())
        self.results(app)

    def test_pictures_are_left_as_they_are(self, app: App) -> None:
        for p in self.pictures:
            if p.pixels is not None:
                p.pixels.flags.writeable = False
        self.results(app)
