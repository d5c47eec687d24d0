"""Instructions, flash, RAM and stack are no worse than they were: hil/baseline.json, see cyberhans.hil.tracking."""

from __future__ import annotations

import json

import pytest

from cyberhans.boards import compiler_version
from cyberhans.hil.options import baseline, detector_name
from cyberhans.hil.plugin import Record
from cyberhans.hil.station import Station
from cyberhans.hil.tracking import costs, digest_of, load_baseline, worse


def test_costs_are_no_worse_than_before(hil_station: Station, hil_record: Record, pytestconfig: pytest.Config) -> None:
    board, found = hil_station.board, costs(hil_station)
    if board is None or not found:
        pytest.skip("the image is not built here: its sizes are not known")
    key = (board.name, detector_name(hil_station.detector), compiler_version(board, hil_station.entry.compiler))
    for name, value in found.items():
        hil_record(name, value)
    digest = digest_of(hil_station.detector)
    hil_record("costs", json.dumps({"key": key, "row": {"digest": digest, **found}}))
    if pytestconfig.getoption("update_baseline"):
        return
    path = baseline(pytestconfig)
    before = load_baseline(path).get(key)
    if before is None:
        pytest.skip(f"{path} has no figures of {', '.join(key)}: write them with --update-baseline")
    if before.get("digest") != digest:
        pytest.skip(f"{path}: the figures of {', '.join(key)} are of another detector: --update-baseline")
    grown = worse(found, before)
    assert not grown, "; ".join(grown)
