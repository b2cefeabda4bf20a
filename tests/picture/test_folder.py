"""Finding picture files."""

from __future__ import annotations

from pathlib import Path

import pytest

from ronghe.errors import PictureError
from ronghe.picture import find


def test_sub_folders_any_case_and_numbers_by_value(tmp_path: Path) -> None:
    for name in ("b/10.png", "b/9.PNG", "a/图像.jpeg", "a/deep/x.tif", "z.bmp", "read.me", ".hidden.png", ".git/x.png", "~lock.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [p.relative_to(tmp_path).as_posix() for p in find(tmp_path)] == ["a/deep/x.tif", "a/图像.jpeg", "b/9.PNG", "b/10.png", "z.bmp"]


def test_a_file_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "frame.dat").touch()
    assert find(tmp_path / "frame.dat") == [tmp_path / "frame.dat"]


def test_links_are_followed_once_and_a_folder_may_be_called_like_a_picture(tmp_path: Path) -> None:
    (tmp_path / "parts.png").mkdir()
    (tmp_path / "parts.png" / "1.png").touch()
    (tmp_path / "parts.png" / "again").symlink_to(tmp_path)
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
    assert [p.relative_to(tmp_path).as_posix() for p in find(tmp_path)] == [
        "gone.png",
        "parts.png/1.png",
    ]  # what is gone is told on reading


def test_nothing_to_find_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="no picture"):
        find(tmp_path)
    with pytest.raises(PictureError, match="no such file"):
        find(tmp_path / "x")
