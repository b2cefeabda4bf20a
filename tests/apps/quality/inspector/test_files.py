from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ronghe.apps.quality.inspector import files
from ronghe.apps.quality.inspector.evaluate import samples
from ronghe.errors import AppError, PictureError


def _picture(path: Path, value: int = 100, size: tuple[int, int] = (12, 16)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full(size, value, np.uint8))
    return path


def test_masks_are_never_parts(tmp_path: Path) -> None:
    parts = [_picture(tmp_path / "a.jpg"), _picture(tmp_path / "kos01/Part0.jpg"), _picture(tmp_path / "odd_mask.png")]
    for mask in ("a_mask.png", "kos01/Part0_label.png", "ground_truth/x/000_mask.png", "masks/a.png"):
        _picture(tmp_path / mask)
    assert sorted(files.parts(tmp_path)) == sorted(parts)  # odd_mask.png has no picture `odd`: it is a part


def test_a_folder_of_masks_only_is_an_error(tmp_path: Path) -> None:
    _picture(tmp_path / "ground_truth/x/000_mask.png")
    with pytest.raises(PictureError, match="only masks"):
        files.parts(tmp_path)


def test_masks_are_found_beside_in_their_folder_and_where_mvtec_keeps_them(tmp_path: Path) -> None:
    beside, apart, mvtec = (_picture(tmp_path / p) for p in ("a.jpg", "in/b.jpg", "bottle/test/broken/000.png"))
    a, b, c = (_picture(tmp_path / p) for p in ("a_mask.png", "m/in/b.png", "bottle/ground_truth/broken/000_mask.png"))
    assert files.mask_path(beside, tmp_path, None) == a
    assert files.mask_path(apart, tmp_path, tmp_path / "m") == b
    assert files.mask_path(mvtec, tmp_path / "bottle/test/broken", None) == c
    assert files.mask_path(apart, tmp_path, None) is None


def test_a_mask_of_another_size_is_an_error(tmp_path: Path) -> None:
    path = _picture(tmp_path / "a_mask.png", 255)
    assert files.mask(path, (12, 16)).all()
    with pytest.raises(PictureError, match="16 x 12 px, its picture 20 x 10"):
        files.mask(path, (10, 20))


def test_an_all_black_mask_holds_no_defect(tmp_path: Path) -> None:
    assert not files.mask(_picture(tmp_path / "a_mask.png", 0), (12, 16)).any()


def test_items_by_folder_and_by_name(tmp_path: Path) -> None:
    paths = [tmp_path / "kos01/exp1_num_7.jpg", tmp_path / "kos01/exp2_num_7.jpg", tmp_path / "kos02/exp1_num_8.jpg"]
    assert len(set(files.items(paths, tmp_path))) == 3
    assert len(set(files.items(paths, tmp_path, by_folder=True))) == 2
    assert files.items(paths, tmp_path, pattern=r"num_(\d+)") == ["7", "7", "8"]
    with pytest.raises(AppError, match="does not fit this name"):
        files.items(paths, tmp_path, pattern="part(.)")
    with pytest.raises(AppError, match="not a regular expression"):
        files.items(paths, tmp_path, pattern="(")


def test_sub_folders_are_classes(tmp_path: Path) -> None:
    for name in ("bad/crack/1.png", "bad/crack/2.png", "bad/spot/1.png", "worse/1.png"):
        _picture(tmp_path / name)
    found = samples([tmp_path / "bad", tmp_path / "worse"])
    assert {k: len(v) for k, v in found.items()} == {"crack": 2, "spot": 1, "worse": 1}
