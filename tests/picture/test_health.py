"""A camera's health: every condition within a second at ten pictures a second, none on a still scene with sensor noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scenes import scene

from ronghe.picture.health import COMPARED, CameraHealth, Condition, Limits

FPS = 10
T0 = 1_800_000_000_000_000_000
RNG = np.random.default_rng(11)
NOISE = np.rint(RNG.normal(0, 2.0, (17, 240, 320, 3))).astype(np.int16)
SCENE = cv2.GaussianBlur(scene(240, 320), (0, 0), 0.6)
Pixels = NDArray[np.uint8]


def noisy(pixels: NDArray, i: int) -> Pixels:
    """Pixels with the sensor noise of picture `i`."""
    return np.clip(np.asarray(pixels, np.int16) + NOISE[i % len(NOISE)], 0, 255).astype(np.uint8)


def feed(health: CameraHealth, frames: Iterator[Pixels], at: int) -> Iterator[tuple[float, tuple[Condition, ...]]]:
    for i, frame in enumerate(frames):
        yield i / FPS, health.see(frame, at + i * 1_000_000_000 // FPS)


def learned(limits: Limits | None = None) -> tuple[CameraHealth, int]:
    """A health that has seen five good seconds, and the time of the next picture."""
    health = CameraHealth(limits)
    for _, conditions in feed(health, (noisy(SCENE, i) for i in range(5 * FPS)), T0):
        assert not conditions
    return health, T0 + 5_000_000_000


FROZEN = noisy(SCENE, 3)
COVERED = cv2.GaussianBlur(SCENE, (0, 0), 60)
BLURRED = cv2.GaussianBlur(SCENE, (0, 0), 3)
WRONG: dict[str, Callable[[int], Pixels]] = {
    "frozen": lambda i: FROZEN,
    "dark": lambda i: noisy(SCENE * 0.04, i),
    "over-exposed": lambda i: noisy(SCENE * 0.02 + 253, i),
    "covered": lambda i: noisy(COVERED, i),
    "out of focus": lambda i: noisy(BLURRED, i),
    "moved": lambda i: noisy(np.roll(SCENE, 12, axis=1), i),
}


@pytest.mark.parametrize("kind", WRONG)
def test_is_told_within_a_second_with_its_beginning_and_goes_when_it_goes(kind: str) -> None:
    health, now = learned()
    told = next(((after, c) for after, c in feed(health, (WRONG[kind](i) for i in range(FPS + 1)), now) if c), None)
    assert told is not None, "not told within a second"
    after, (condition,) = told  # one cause, one condition
    assert condition.kind == kind
    assert after <= 1.0
    assert abs(condition.since - now) <= 2 * 1_000_000_000 // FPS
    assert condition.reason.en
    assert condition.reason.zh
    *_, (_, at_last) = feed(health, (noisy(SCENE, i) for i in range(2 * FPS)), now + 2_000_000_000)
    assert at_last == ()


def test_another_view_is_moved() -> None:
    health, now = learned()
    *_, (_, conditions) = feed(health, (noisy(SCENE[::-1, ::-1], i) for i in range(FPS)), now)
    assert [c.kind for c in conditions] == ["moved"]
    health.learn()
    *_, (_, conditions) = feed(health, (noisy(SCENE[::-1, ::-1], i) for i in range(5 * FPS)), now + 2_000_000_000)
    assert conditions == ()


def test_a_still_scene_with_noise_and_slow_daylight_is_never_told() -> None:
    health, now = learned()
    light = lambda i: 1 - 0.3 * np.sin(i / 80)  # noqa: E731
    assert not [c for _, c in feed(health, (noisy(SCENE * light(i), i) for i in range(30 * FPS)), now) if c]


def test_parts_on_a_belt_are_no_condition_once_they_were_seen() -> None:
    def belt(i: int) -> Pixels:
        picture = np.full((240, 480, 3), 90, np.uint8)
        picture[::24] = 60
        at = i * 29 % 400
        picture[80:160, at : at + 80] = SCENE[:80, :80]
        picture = picture[:, 80:400]
        return noisy(picture, i)

    health = CameraHealth()
    assert not [c for _, c in feed(health, (belt(i) for i in range(20 * FPS)), T0) if c]


def test_a_camera_that_starts_dark_or_blank_is_told_without_having_learned() -> None:
    for picture, kind in ((np.zeros((240, 320), np.uint8), "dark"), (np.full((240, 320), 120, np.uint8), "covered")):
        health = CameraHealth()
        *_, (_, conditions) = feed(health, (noisy(picture[..., None], i) for i in range(FPS)), T0)
        assert [c.kind for c in conditions] == [kind]


def test_silence_is_told_and_ends_with_the_next_picture() -> None:
    health, now = learned()
    last = now - 1_000_000_000 // FPS
    assert health.at(last + 800_000_000) == ()
    (condition,) = health.at(last + 1_000_000_000)
    assert condition.kind == "silent"
    assert condition.since == last
    assert health.see(noisy(SCENE, 1), now + 3_000_000_000) == ()


def test_a_slow_camera_is_not_silent_between_its_pictures() -> None:
    health = CameraHealth()
    for i in range(5):
        health.see(noisy(SCENE, i), T0 + i * 2_000_000_000)
    last = T0 + 4 * 2_000_000_000
    assert health.at(last + 3_000_000_000) == ()
    assert [c.kind for c in health.at(last + 7_000_000_000)] == ["silent"]


def test_an_encoder_that_refreshes_a_frozen_picture_now_and_then_does_not_hide_it() -> None:
    health, now = learned()
    refreshed = FROZEN.copy()
    refreshed[:60] ^= 1
    frames = [refreshed if i // 5 % 2 else FROZEN for i in range(2 * FPS)]
    assert any(c.kind == "frozen" for _, told in feed(health, iter(frames), now) for c in told)


def test_what_is_constant_by_its_nature_can_be_excluded() -> None:
    health = CameraHealth(Limits(ignore=("frozen",)))
    assert not [c for _, c in feed(health, (SCENE for _ in range(5 * FPS)), T0) if c]


def test_pictures_of_different_parts_are_judged_one_by_one() -> None:
    health = CameraHealth(Limits(within=0, structure=0, ignore=COMPARED))
    for seed in range(12):
        assert health.see(scene(240, 320, seed=seed), T0 + seed * 1_000_000_000) == ()
    assert [c.kind for c in health.see(np.zeros((240, 320), np.uint8), T0 + 20_000_000_000)] == ["dark"]
    assert health.see(scene(100, 80), T0 + 21_000_000_000) == ()


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (7, 400), (3000, 20), (64, 64, 3), (1500, 2000, 3)])
def test_pictures_of_any_size(shape: tuple[int, ...]) -> None:
    health = CameraHealth(Limits(learn=0.5))
    for i in range(20):
        health.see(RNG.integers(0, 255, shape, np.uint8), T0 + i * 100_000_000)
