"""Cameras that are not ours: a GStreamer RTSP server, µStreamer (MJPEG over HTTP), Aravis' GigE Vision camera; and pictures as files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

for folder in (str(Path(__file__).parent), str(Path(__file__).parent.parent)):
    if folder not in sys.path:
        sys.path.insert(0, folder)

pytest.register_assert_rewrite("contract")
