"""What people asked of apps, in the ledger: a folder of files is two entries."""

from __future__ import annotations

from typing import Any

from ronghe.apps.contract import Question
from ronghe.edge.asked import Asked

S = 1_000_000_000


def example(name: str, label: str = "good", who: str = "ann") -> Question:
    return Question(verb="example", body={"label": label, "name": name}, data=b"picture", who=who)


def test_a_row_of_files_is_its_first_and_its_number() -> None:
    put: list[dict[str, Any]] = []
    asked = Asked(lambda event, body: put.append(body))
    for i in range(200):
        asked.tell("eye", example(f"{i}.png"), i)
    assert [p["body"] for p in put] == [{"label": "good", "name": "0.png"}]
    asked.tell("eye", Question(verb="teach", who="ann"), 300)
    assert put[1] == {"app": "eye", "verb": "example", "by": "ann", "body": {"label": "good"}, "files": 200}
    assert put[2]["verb"] == "teach"
    assert len(put) == 3


def test_another_label_person_or_app_is_another_row() -> None:
    put: list[dict[str, Any]] = []
    asked = Asked(lambda event, body: put.append(body))
    for app, one in (
        ("eye", example("a")),
        ("eye", example("b", "defective")),
        ("eye", example("c", who="bob")),
        ("ear", example("d", who="bob")),
    ):
        asked.tell(app, one, 0)
    assert [p["body"]["name"] for p in put] == ["a", "b", "c", "d"]
    asked.close()
    assert len(put) == 4


def test_a_row_ends_when_nothing_comes_for_a_minute() -> None:
    put: list[dict[str, Any]] = []
    asked = Asked(lambda event, body: put.append(body))
    asked.tell("eye", example("a"), 0)
    asked.tell("eye", example("b"), 30 * S)
    asked.beat(89 * S)
    assert len(put) == 1
    asked.beat(90 * S)
    asked.beat(200 * S)
    assert [p.get("files") for p in put] == [None, 2]
