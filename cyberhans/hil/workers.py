"""Which worker of pytest-xdist (-n) runs a test: all of one device run on the same one, in turn.

By the tests' names, not by its marker xdist_group: pytest-xdist 3.8 puts that into a node's id in a way that pytest 9.2
does not read.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling


class ByDevice(LoadScopeScheduling):  # type: ignore[misc]
    """devices: by the names of their tests, cyberhans.hil.options.pairs. Tests of other things go wherever there is
    room."""

    def __init__(self, devices: Mapping[str, str], config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        self._devices = devices

    def _split_scope(self, nodeid: str) -> str:
        inside = nodeid.partition("[")[2].replace("]", "-", 1)
        return next((device for name, device in self._devices.items() if inside.startswith(f"{name}-")), nodeid)
