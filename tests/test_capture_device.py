"""The device's side of a capture, on the native firmware without a detector."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from receiver import Receiver

from cyberhans.blank import blank_image
from cyberhans.device import open_device


@pytest.fixture
def on() -> Iterator[Receiver]:
    with open_device("board:native", image=blank_image("native")) as device:
        yield Receiver(device)


def test_a_second_of_it_is_the_waveform(on: Receiver) -> None:
    for channels in (1, 2, 3):
        received = on.whole(3200, 1600, channels)
        assert (received.frames, received.gaps, received.wrong()) == (1600, 0, 0)
        assert received.last and (received.last.sampled, received.last.overruns) == (1600, 0)
