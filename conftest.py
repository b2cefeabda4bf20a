"""The whole suite's order: what mostly waits begins first, so that no worker is left with it at the end."""

from __future__ import annotations

import os

# As the `ronghe` command does, before NumPy is imported: beside other workers, threads inside a matrix product wait for one another.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest

_LONG = ("tests/demo/test_demo.py", "tests/edge/test_up.py", "tests/edge/test_cases.py", "tests/test_readme.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(_LONG))
