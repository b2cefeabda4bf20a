"""The detector's arithmetic, and blurring."""

from __future__ import annotations

import numpy as np
import pytest

from ronghe.apps.safety.faces import CELLS, Faces, mosaic
from ronghe.apps.safety.labels import Labels
from ronghe.apps.safety.letterbox import fit, overlaps, suppress
from ronghe.apps.safety.people import People, Person, decode, priors

from .conftest import pictures


def test_boxes_are_decoded_as_published() -> None:
    at = priors(416, 416)
    assert at.shape == (52 * 52 + 26 * 26 + 13 * 13, 3)
    assert at[0].tolist() == [4.0, 4.0, 8.0]
    assert at[-1].tolist() == [400.0, 400.0, 32.0]
    sure = np.full((1, 4, 11), -20.0, np.float32)
    for side, bins in enumerate((2, 3, 4, 5)):
        sure[0, side, bins] = 20.0
    assert decode(sure.reshape(1, 44), np.array([[100.0, 50.0, 8.0]])) == pytest.approx(np.array([[84.0, 26.0, 132.0, 90.0]]))
    even = decode(np.zeros((1, 44), np.float32), np.array([[100.0, 50.0, 8.0]]))
    assert even == pytest.approx(np.array([[60.0, 10.0, 140.0, 90.0]])), "no preference is the mean of 0..10 strides"


def test_a_picture_of_any_shape_is_fitted() -> None:
    for h, w in ((480, 640), (640, 480), (100, 1000), (7, 5)):
        fitted = fit(np.full((h, w), 200, np.uint8), 416, 32)
        assert max(fitted.pixels.shape[:2]) == 416
        assert not (np.array(fitted.pixels.shape[:2]) % 32).any()
        assert fitted.scale == 416 / max(h, w)


def test_the_better_of_two_boxes_of_one_person_is_kept() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10]], np.float64)
    assert suppress(boxes, np.array([0.5, 0.9, 0.4]), 0.5) == [1, 2]
    assert overlaps(boxes[0], boxes).tolist() == pytest.approx([1.0, 90 / 110, 0.0])


def test_people_are_found_where_the_labels_have_them(tune: Labels) -> None:
    people, size = People(), np.array([tune.width, tune.height] * 2)
    for i in (30, 80, 100, 160):
        (picture,) = pictures("tune", i, 1)
        assert picture.pixels is not None
        found = np.array([p.box for p in people.find(picture.pixels, 0.4)]).reshape(-1, 4) * size
        for person in tune.frames[i].people:
            if person.visible > 0.95 and person.box[3] - person.box[1] > 80:
                assert len(found)
                assert overlaps(np.array(person.box), found).max() > 0.5, (i, person.id)


def test_a_mosaic_leaves_so_many_colours_and_touches_nothing_else() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (60, 80, 3)).astype(np.uint8)
    before = pixels.copy()
    mosaic(pixels, (10, 5, 41, 37))
    assert len(np.unique(pixels[5:37, 10:41].reshape(-1, 3), axis=0)) <= CELLS * CELLS
    pixels[5:37, 10:41] = before[5:37, 10:41]
    assert (pixels == before).all()
    mosaic(pixels, (10, 5, 10, 37))


def test_whoever_shows_no_face_has_the_upper_part_blurred() -> None:
    gray = np.full((200, 300), 128, np.uint8)
    away = Person((0.2, 0.1, 0.4, 0.9), 0.8)
    assert Faces().to_blur(gray, [away]) == [(60, 20, 120, 68)]
    assert Faces().to_blur(gray, []) == []
