"""Which worker of pytest-xdist (-n) runs a test: all of one device run on the same one, in turn.

By the tests' names, not by its marker xdist_group: pytest-xdist 3.8 puts that into a node's id in a way that pytest 9.2
does not read.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling


class ByDevice(LoadScopeScheduling):  # type: ignore[misc]
    """Tests of other things go wherever there is room."""

    def __init__(self, devices: Sequence[str], config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        self._devices = sorted(devices, key=len, reverse=True)  # one id may begin another

    def _split_scope(self, nodeid: str) -> str:
        return next((device for device in self._devices if f"[{device}-" in nodeid), nodeid)
