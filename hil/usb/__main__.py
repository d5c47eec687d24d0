"""make usb: a capture over USB, unplugged three times, in a guest. Exit code 0 if nothing was lost in silence."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from cyberhans.errors import CyberHansError
from hil.usb.kernel import missing
from hil.usb.trial import trial


def main() -> None:
    if lacking := missing():
        sys.exit(lacking)
    with tempfile.TemporaryDirectory(prefix="cyberhans-usb-") as folder:
        try:
            code, console = trial(Path(folder))
        except CyberHansError as error:
            sys.exit(str(error))
    print(console)
    sys.exit(code)


if __name__ == "__main__":
    main()
