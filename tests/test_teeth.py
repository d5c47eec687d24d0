"""The check has teeth: firmware with one constant changed is caught, and the stage where it was changed is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from small_detector import noise, small_image

from cyberhans.build import build
from cyberhans.core import firmware_dir
from cyberhans.verify import Verification, verify_on

pytestmark = pytest.mark.slow
CHANGES = {
    "samples": ("core/hans.c", "memcpy(frame, frame + half,", "memcpy(frame, frame + half - 1,"),
    "spectrum": ("core/spectrum.c", "{a.re >> 1, a.im >> 1}", "{a.re >> 1, (a.im + 1) >> 1}"),
    "bands": ("core/log2.c", "(hans_log16(v) + 128) >> 8", "(hans_log16(v) + 96) >> 8"),
    "features": ("core/features.c", "pair == 2;", "pair == 1;"),
    "score": ("core/hans.c", "(int32_t)12 * 65536", "(int32_t)12 * 65536 - 1"),
    "alarm": ("core/alarm.c", "(votes << 1 | yes)", "(votes << 1 | !yes)"),
    "verdict": ("core/hans.c", "verdict->score > model->threshold", "verdict->score > model->threshold + 200000"),
}
BOARDS = ["native", pytest.param("microbit", marks=pytest.mark.emulator)]


def windows() -> NDArray[np.int16]:
    """The first is an anomaly by a little, so that a moved threshold shows in it."""
    detector = small_image()[0]
    made = noise(detector.spec, 40)
    score = detector.core().run(made).score
    over = score - detector.threshold
    first = int(np.flatnonzero((over > 0) & (over < 200000))[0])
    return np.concatenate((made[first : first + 1], made[:3]))


def changed(folder: Path, board: str, path: str, old: str, new: str) -> Path:
    """An image of the small detector from firmware with `old` replaced in one file."""
    source = folder / "firmware"
    shutil.copytree(firmware_dir(), source)
    text = (source / path).read_text()
    assert text.count(old) == 1, f"{path} has {old!r} {text.count(old)} times: choose another constant"
    (source / path).write_text(text.replace(old, new))
    detector = small_image()[0].folder
    assert detector
    return build(detector, board, folder / "build", firmware=source).image


def outcome_of(image: Path, board: str, frames: NDArray[np.int16]) -> Verification:
    return verify_on(f"board:{board}", small_image()[0], frames, image=image)


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("stage", CHANGES)
def test_one_changed_constant_is_named_by_its_stage(stage: str, board: str, tmp_path: Path) -> None:
    outcome = outcome_of(changed(tmp_path, board, *CHANGES[stage]), board, windows())
    first = outcome.first_difference
    assert not outcome.equal
    assert first and (first.stage, first.window) == (stage, 0), outcome.to_dict()
    assert first.device != first.host
    assert first.what


def test_the_named_value_is_the_first_that_differs(tmp_path: Path) -> None:
    """By bisection over 100 frames: frame 3 is channel 0's second one, whose first half moved by one sample."""
    window = windows()[:1]
    first = outcome_of(changed(tmp_path, "native", *CHANGES["samples"]), "native", window).first_difference
    assert first
    samples = window[0, :, 0]
    moved = int(np.flatnonzero(samples[256:512] != samples[255:511])[0])
    assert (first.item, first.index) == (3, moved)
    assert (first.device, first.host) == (samples[255 + moved], samples[256 + moved])


def test_a_difference_that_rounding_hides_is_still_named(tmp_path: Path) -> None:
    """A transform that is wrong in bin 0, which no band holds: all that comes out agrees, the verification does not."""
    change = ("core/spectrum.c", "hans_power(first.re + first.im, 0)", "hans_power(first.re + first.im, 100)")
    outcome = outcome_of(changed(tmp_path, "native", *change), "native", windows())
    assert not any(outcome.differing_bits.values())
    assert not outcome.equal
    first = outcome.first_difference
    assert first and (first.stage, first.item, first.index) == ("spectrum", 0, 0)
    assert first.what == "bin 0 of frame 0"


def test_a_difference_in_a_later_window_only_is_traced_there(tmp_path: Path) -> None:
    """A fault that full scale alone awakes."""
    frames = np.concatenate((windows(), np.full_like(windows()[:1], -32768)))
    change = ("core/hans.c", "*x++ = *samples;", "*x++ = *samples == -32768 ? -32767 : *samples;")
    outcome = outcome_of(changed(tmp_path, "native", *change), "native", frames)
    first = outcome.first_difference
    assert first and (first.window, first.stage, first.item, first.index) == (4, "samples", 0, 0)
    assert (first.device, first.host) == (-32767, -32768)
