"""Labelled defects on disk."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ronghe.apps.quality.classes.labels import Labelled, boxes, classes, find, groups
from ronghe.errors import AppError, PictureError

OBJECT = "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"


def voc(*objects: tuple[str, int, int, int, int]) -> str:
    return "<annotation><filename>x</filename>" + "".join(OBJECT.format(*o) for o in objects) + "</annotation>"


def picture(path: Path, level: int = 100) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((40, 40), level, np.uint8))
    return path


def test_boxes_with_pictures_in_another_folder(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a_10.jpg")
    picture(tmp_path / "images" / "a_9.jpg")
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "a_10.xml").write_text(voc(("dent", 1, 1, 10, 20), ("scratch", 5, 5, 5, 5), ("dent", 2, 2, 3, 3)))
    (tmp_path / "annotations" / "a_9.xml").write_text(voc(("scratch", 11, 1, 40, 40)))
    found = find(tmp_path)
    assert [f.path.name for f in found] == ["a_9.jpg", "a_10.jpg"]
    assert found[0].boxes == ((10, 0, 40, 40),)
    assert found[1].boxes == ((0, 0, 10, 20), (4, 4, 5, 5), (1, 1, 3, 3))
    assert found[1].main == "dent"
    assert classes([*found, Labelled(Path("x"), (None,), ("dent",))]) == ["dent", "scratch"]


def test_class_folders(tmp_path: Path) -> None:
    for name, level in (("dent/1.png", 1), ("dent/2.png", 2), ("scratch/1.png", 1), ("scratch/3.png", 3)):
        picture(tmp_path / name, level)
    found = find(tmp_path)
    assert [(f.labels, f.boxes) for f in found] == [(("dent",), (None,))] * 2 + [(("scratch",), (None,))] * 2
    assert groups(found) == [0, 1, 0, 2]  # dent/1 and scratch/1 are the same picture
    assert classes(found) == ["dent", "scratch"]
    picture(tmp_path / "loose.png")
    with pytest.raises(AppError, match=r"loose\.png: it lies in no class folder"):
        find(tmp_path)


def test_a_class_of_one_picture_is_refused(tmp_path: Path) -> None:
    for name in ("dent/1.png", "dent/2.png", "scratch/1.png"):
        picture(tmp_path / name)
    with pytest.raises(AppError, match="'scratch' is shown by one picture only") as e:
        classes(find(tmp_path))
    assert "只有一张图像" in e.value.in_("zh")
    (tmp_path / "scratch" / "1.png").unlink()
    with pytest.raises(AppError, match="only one class"):
        classes(find(tmp_path))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("<annotation><object><name>a</name></object></annotation>", "xmin"),
        (voc(("a", 9, 9, 3, 12)), "9"),
        (voc(("", 1, 1, 3, 3)), "name"),
        (voc(("a", 1, 1, 3, 3))[:-5], "unclosed token"),
        ("<html></html>", "<annotation>"),
        ('<!DOCTYPE a [<!ENTITY b "bb">]><annotation>&b;</annotation>', "document types"),
        ("", "no element found"),
    ],
)
def test_a_wrong_label_file_is_named(tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(AppError, match=what) as e:
        boxes(tmp_path / "a.xml")
    assert "a.xml" in str(e.value)


def test_missing_parts_are_named(tmp_path: Path) -> None:
    with pytest.raises(AppError, match="no such folder"):
        find(tmp_path / "none")
    with pytest.raises(PictureError):
        find(tmp_path)
    picture(tmp_path / "a.png")
    (tmp_path / "a.xml").write_text("<annotation></annotation>")
    with pytest.raises(AppError, match="no box in any label file"):
        find(tmp_path)
    (tmp_path / "b.xml").write_text(voc(("a", 1, 1, 3, 3)))
    with pytest.raises(AppError, match=r"b\.xml: its picture is missing"):
        find(tmp_path)
    picture(tmp_path / "x" / "b.png")
    picture(tmp_path / "y" / "b.png")
    with pytest.raises(AppError, match="several pictures"):
        find(tmp_path)
