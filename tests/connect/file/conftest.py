"""The driver contract is beside the folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

folder = str(Path(__file__).parent.parent)
if folder not in sys.path:
    sys.path.insert(0, folder)

pytest.register_assert_rewrite("contract")
