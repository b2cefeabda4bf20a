"""Tracks and votes: one flicker neither alarms nor hides."""

from __future__ import annotations

from ronghe.apps.safety.occupancy import Occupancy
from ronghe.apps.safety.people import Person
from ronghe.apps.safety.settings import Vote, ZoneSpec
from ronghe.apps.safety.tracks import Tracks

ZONE = ZoneSpec(name="press", polygon=((0.0, 0.5), (1.0, 0.5), (1.0, 1.0), (0.0, 1.0)), release="300ms")
INSIDE, OUTSIDE = (0.4, 0.3, 0.5, 0.8), (0.4, 0.0, 0.5, 0.45)
S = 1_000_000_000


def watch(pictures: list[list[Person]], zone: ZoneSpec = ZONE, vote: Vote = Vote()) -> str:  # noqa: B008
    """ "x" for each picture, ten a second, after which the zone is occupied, else "."."""
    tracks, occupancy, said = Tracks(vote.m, 0.5), Occupancy(zone, vote), ""
    for i, people in enumerate(pictures):
        occupancy.step(tracks.tracks, tracks.step(people), S + i * S // 10)
        said += "x" if occupancy.occupied else "."
    return said


def person(box: tuple[float, float, float, float] = INSIDE, score: float = 0.8) -> list[Person]:
    return [Person(box, score)]


def test_one_flicker_does_not_alarm() -> None:
    assert watch([[], person(), [], [], [], person(), []]) == "......."


def test_one_miss_does_not_hide() -> None:
    assert watch([person(), person(), [], person(), person(), [], person()]) == ".xxxxxx"


def test_it_ends_after_the_release() -> None:
    assert watch([person()] * 3 + [[]] * 7) == ".xxxxx...."


def test_somebody_who_walks_past_is_not_inside() -> None:
    assert watch([person(OUTSIDE)] * 6) == "......"


def test_dwell() -> None:
    dwelling = ZoneSpec(name="press", polygon=ZONE.polygon, dwell="300ms", release="0s")
    assert watch([person()] * 6, dwelling) == "....xx"
    assert watch([person()] * 3 + [[]] * 3 + [person()] * 3, dwelling) == "." * 9


def test_a_doubtful_detection_continues_a_track_and_begins_none() -> None:
    assert watch([person(score=0.3)] * 5) == "....."
    assert watch([person()] + [person(score=0.3)] * 4) == ".xxxx"


def test_two_people_are_two_tracks() -> None:
    tracks = Tracks(3, 0.5)
    left, right = Person((0.1, 0.3, 0.2, 0.8), 0.9), Person((0.7, 0.3, 0.8, 0.8), 0.8)
    first = {t.number: t.box for t in tracks.step([left, right])}
    moved = Person((0.12, 0.3, 0.22, 0.8), 0.7)
    second = {t.number: t.box for t in tracks.step([right, moved])}
    assert first.keys() == second.keys() == {1, 2}
    assert second[1] == moved.box
    for _ in range(3):
        tracks.step([])
    assert tracks.tracks == []
