"""Memory against the promise of the build: work memory, and how deep the stack has been."""

from __future__ import annotations

import pytest

from cyberhans.device import Refused
from cyberhans.hil.plugin import Record
from cyberhans.hil.station import Station
from cyberhans.messages import Memory, Option, Refusal
from cyberhans.verify import adversarial_windows


def told(station: Station) -> Memory:
    try:
        return station.device().memory()
    except Refused as refused:
        if refused.code == Refusal.UNKNOWN:
            pytest.skip("this firmware does not answer MEMORY: how deep its stack has been is not known")
        raise


def test_work_memory_is_what_the_build_says(hil_station: Station, hil_record: Record) -> None:
    memory = told(hil_station)
    hil_record("work_bytes", memory.work_bytes)
    assert memory.work_bytes > 0
    if hil_station.build:
        assert memory.work_bytes == hil_station.build.ram_shares["work_memory"]


def test_the_stack_stays_within_what_is_reserved(hil_station: Station, hil_record: Record) -> None:
    """After everything a stream can ask for. Where an operating system gives the stack, nothing is reserved."""
    device = hil_station.device()
    list(device.replay(adversarial_windows(hil_station.detector.spec), Option.FEATURES | Option.COSTS))
    memory = told(hil_station)
    hil_record("stack_bytes", memory.stack_bytes)
    hil_record("stack_used", memory.stack_used)
    assert memory.stack_used > 0
    if hil_station.build and hil_station.build.stack_bytes is not None:
        assert memory.stack_bytes == hil_station.build.stack_bytes
    if memory.stack_bytes:
        assert memory.stack_used <= memory.stack_bytes
