"""The picture of the live view in README.md: python -m hil.screenshot docs/live.svg

Taken from a capture of the simulated pump that `native` plays; figures and spectrum are a little different every time.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from cyberhans.blank import blank_image
from cyberhans.capture import Wish, capture
from cyberhans.capture.plan import Plan
from cyberhans.device import open_device
from cyberhans.live import Live, picture
from cyberhans.messages import Sensor
from cyberhans.meter import Piece

SECONDS, AT = 10.0, 0.75  # of the capture; the share of it at which the picture is taken


class Photographed(Live):
    """Keeps what it showed at that moment."""

    svg = ""

    def add(self, piece: Piece) -> None:
        super().add(piece)
        if not self.svg and self.meter.end >= AT * SECONDS * self.rate_hz:
            self.svg = picture(self)


def photograph() -> str:
    """SVG of the view of one capture."""
    views: list[Photographed] = []

    def view(plan: Plan, sensor: Sensor, path: Path) -> Photographed:
        axes, scale = ("x", "y", "z")[: plan.channels], sensor.scale_numerator / sensor.scale_denominator
        views.append(Photographed("pump-3", axes, sensor.unit, scale, sensor.full_scale, plan.rate_hz, SECONDS,
                                  file=path.name, plain=True, quiet=True))  # fmt: skip
        return views[-1]

    with tempfile.TemporaryDirectory() as folder:
        wish = Wish("pump-3", "normal", SECONDS, Path(folder))
        image = blank_image("native")
        capture(wish, lambda: open_device("board:native", image=image, pump=True), view=view)
    return views[0].svg


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(photograph(), encoding="utf-8")
