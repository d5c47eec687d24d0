"""The controller's own tests, with the fixtures of Cyber-Hans's plugin: pytest --hil-map devices.toml --detector ..."""

import numpy as np

from cyberhans.alarm import State
from cyberhans.messages import Mode


def test_a_stuck_sensor_is_told(hil_device):
    """The accelerometer's cable is cut: every sample is the same."""
    info = hil_device.info
    windows = np.full((2, info.window, info.channels), 100, np.int16)
    judged = list(hil_device.replay(windows))
    assert [judgement.state for judgement in judged] == [State.FAULT] * 2


def test_the_pump_is_watched_again_when_the_host_has_gone(hil_device):
    hil_device.start()
    assert hil_device.ask_info().mode == Mode.HOST
    hil_device.run()
    assert hil_device.ask_info().mode == Mode.RUN
