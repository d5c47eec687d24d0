"""make usb: over a USB cable in a guest, a capture that is unplugged three times, and the whole suite. Exit code 0 if
nothing was lost in silence, every test ran, and none failed."""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from pathlib import Path

from cyberhans.errors import CyberHansError
from hil.usb.kernel import missing
from hil.usb.trial import capture_trial, suite_trial


def main() -> None:
    if lacking := missing():
        sys.exit(lacking)
    for trial in (capture_trial, partial(suite_trial, whole=True)):
        with tempfile.TemporaryDirectory(prefix="cyberhans-usb-") as folder:
            try:
                code, console = trial(Path(folder))
            except CyberHansError as error:
                sys.exit(str(error))
        print(console)
        if code:
            sys.exit(code)


if __name__ == "__main__":
    main()
