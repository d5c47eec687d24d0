"""Which libraries a compiler links: asked of this computer's own, and read from a linker's command."""

from __future__ import annotations

from pathlib import Path

import pytest

from cyberhans.errors import CyberHansError
from cyberhans.libraries import libraries, named


def test_archives_are_found_in_the_order_of_the_folders_and_once(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for path in (first / "libgcc.a", second / "libgcc.a", second / "libc.a", tmp_path / "whole.a"):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"!<arch>\n")
    words = [
        "ld",
        f"-L{first}",
        f"-L{second}",
        "-o",
        "x",
        "-lgcc",
        "-lc",
        "-labsent",
        "-lgcc",
        str(tmp_path / "whole.a"),
    ]
    assert named(words) == [first / "libgcc.a", second / "libc.a", tmp_path / "whole.a"]


def test_a_compiler_that_tells_nothing_is_an_error_of_one_line(tmp_path: Path) -> None:
    (tmp_path / "cc").write_text("#!/bin/sh\necho first >&2; echo licence expired >&2; exit 1\n")
    (tmp_path / "cc").chmod(0o755)
    with pytest.raises(CyberHansError, match="cc does not tell what it links: licence expired; install it again"):
        libraries([str(tmp_path / "cc")], [], tmp_path / "x.o")
