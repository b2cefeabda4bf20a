from __future__ import annotations

import pytest

from ronghe.bus import subjects


def test_whatever_a_plant_is_called_one_part_is_one_part() -> None:
    subject = subjects.subject("acme.inc/上海/a*b >", "node.1", subjects.SAMPLES)
    assert subject.count(".") == 5
    assert set(subject) & set("*> ") == set()
    assert subjects.origin(subject) == ("acme.inc/上海/a*b >", "node.1", "samples")
    assert subjects.matches(subjects.of_node("acme.inc/上海/a*b >", "node.1"), subject)
    assert not subjects.matches(subjects.of_node("acme.inc/上海/a*b >", "node.2"), subject)
    assert subjects.origin(subjects.late(subject)) == subjects.origin(subject)
    assert subjects.matches(subjects.late(subjects.of_node("acme.inc/上海/a*b >", "node.1")), subjects.late(subject))
    with pytest.raises(ValueError, match="not a subject"):
        subjects.origin("other.a.b.c")


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [(">", True), ("a.>", True), ("a.b.c", True), ("*.b.*", True), ("a.b", False), ("a.b.c.>", False), ("a.*", False), ("a.b.c.d", False)],
)
def test_patterns_fit_as_those_of_nats(pattern: str, fits: bool) -> None:
    assert subjects.matches(pattern, "a.b.c") is fits
