"""Memory against the promise of the build: work memory, and how deep the stack has been."""

from __future__ import annotations

from cyberhans.hil.agreement import within_the_promise
from cyberhans.hil.plugin import Record
from cyberhans.hil.request import told_of_windows, unless_unknown
from cyberhans.hil.station import Station
from cyberhans.messages import Memory
from cyberhans.verify import adversarial_windows


def told(station: Station) -> Memory:
    with unless_unknown("MEMORY: how deep its stack has been is not known"):
        return station.device().memory()
    raise AssertionError


def test_work_memory_is_what_the_build_says(hil_station: Station, hil_record: Record) -> None:
    memory = told(hil_station)
    hil_record("work_bytes", memory.work_bytes)
    assert memory.work_bytes > 0
    if hil_station.build:
        assert memory.work_bytes == hil_station.build.ram_shares["work_memory"]


def test_the_stack_stays_within_the_promise(hil_station: Station, hil_record: Record) -> None:
    """After everything a stream can ask for. Where an operating system gives the stack, nothing is reserved."""
    device = hil_station.device()
    list(device.replay(adversarial_windows(hil_station.detector.spec), told_of_windows(device)))
    memory = told(hil_station)
    hil_record("stack_bytes", memory.stack_bytes)
    hil_record("stack_used", memory.stack_used)
    assert memory.stack_used > 0
    if hil_station.build and hil_station.build.stack_bytes is not None:
        assert memory.stack_bytes == hil_station.build.stack_bytes
    within_the_promise(hil_station, memory)
