"""The device is what it says, and holds the detector that is tested."""

from __future__ import annotations

import pytest

from cyberhans.alarm import State
from cyberhans.device import Device
from cyberhans.hil.plugin import Record
from cyberhans.hil.station import Station
from cyberhans.messages import PROTOCOL_VERSION, Mode
from cyberhans.spec import ARITHMETIC_VERSION
from cyberhans.tables import INTERFACE_VERSION


def test_versions_and_digests_are_the_detectors(hil_station: Station, hil_record: Record) -> None:
    info, detector = hil_station.device().ask_info(), hil_station.detector
    assert (info.protocol, info.arithmetic, info.interface) == (PROTOCOL_VERSION, ARITHMETIC_VERSION, INTERFACE_VERSION)
    assert (info.spec, info.model, info.detector) == (detector.spec.digest, detector.model.digest, detector.digest)
    assert info.flags == detector.flags
    hil_record("firmware", info.firmware)
    hil_record("serial", info.serial)


def test_shape_is_the_specs(hil_station: Station) -> None:
    info, spec = hil_station.device().ask_info(), hil_station.detector.spec
    shape = (spec.rate_mhz, spec.channels, spec.features, spec.window, spec.hop)
    assert (info.rate_mhz, info.channels, info.features, info.window, info.hop) == shape
    assert info.status == 0


def test_board_is_the_one_expected(hil_station: Station) -> None:
    board = hil_station.board
    if board is None:
        pytest.skip(f"device {hil_station.entry.id}: the map names no board for it, so that any will do")
    assert hil_station.device().info.board == board.name


def test_serial_number_is_sixteen_digits_and_stays(hil_station: Station) -> None:
    first = hil_station.device().ask_info().serial
    assert len(first) == 16 and set(first) <= set("0123456789abcdefABCDEF")
    if hil_station.resets:
        hil_station.restart()
    else:
        hil_station.close()
    assert hil_station.device().info.serial == first


def test_info_is_the_same_twice(hil_device: Device) -> None:
    """But for the state, which run mode goes on to change."""
    hil_device.start()
    first, second = hil_device.ask_info(), hil_device.ask_info()
    assert first == second
    assert first.mode == Mode.HOST and first.state in set(State)
