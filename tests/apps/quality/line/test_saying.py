"""What inspection calls things."""

from __future__ import annotations

import pytest

from ronghe.apps.quality.line import saying
from ronghe.text import Text


@pytest.mark.parametrize(
    ("signal", "said"),
    [
        ("reject_rate", Text("reject rate", "剔除率")),
        ("rate_open", Text("rate of open", "开路率")),
        ("rate_scratch", Text("rate of scratch", "scratch 率")),
        ("other", Text("other", "other")),
    ],
)
def test_signals_have_names_in_both_languages(signal: str, said: Text) -> None:
    assert saying.signal(signal) == said


def test_a_known_class_has_its_chinese_name() -> None:
    assert saying.event("mousebite") == Text("parts with mousebite", "“缺口”缺陷件")
    assert saying.event("scratch") == Text("parts with scratch", "“scratch”缺陷件")
