"""The whole suite's order: what mostly waits begins first, so that no worker is left with it at the end."""

from __future__ import annotations

import pytest

_LONG = ("tests/demo/test_demo.py", "tests/edge/test_up.py", "tests/edge/test_cases.py", "tests/test_readme.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(_LONG))
