"""Spool: a WAV that grows hidden, appears whole, and what a killed one leaves is finished or swept away."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cyberhans import wav
from cyberhans.spool import SPARE, Full, Spool

SAMPLES = np.arange(-300, 300, dtype=np.int16).reshape(-1, 2)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_appears_whole_with_its_sidecar(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "a", 2, 1000.4)
    for part in np.array_split(SAMPLES, 7):
        spool.add(part)
    assert files(tmp_path) == [".a.wav.draft"] and (spool.samples() == SAMPLES).all()
    digest = spool.seal()
    path = spool.publish("{}")
    assert files(tmp_path) == ["a.json", "a.wav"] and path == tmp_path / "a.wav"
    samples, rate, content = wav.read(path)
    assert (samples == SAMPLES).all() and rate == 1000 and content == wav.pack(SAMPLES, 1000)
    assert digest == hashlib.sha256(content).hexdigest()
    spool.discard()
    assert files(tmp_path) == ["a.json", "a.wav"]


def test_discarded_it_leaves_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "a", 2, 1000)
    spool.add(SAMPLES)
    spool.discard()
    assert files(tmp_path) == []


def test_names_that_are_taken_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("mine")
    (tmp_path / "a-2.json").write_text("mine")
    first, second = Spool(tmp_path, "a", 2, 1000), Spool(tmp_path, "a", 2, 1000)
    assert (first.path.name, second.path.name) == ("a-3.wav", "a-4.wav")
    assert (tmp_path / "a.wav").read_text() == (tmp_path / "a-2.json").read_text() == "mine"
    first.discard()
    second.discard()


def killed(folder: Path, script: str) -> None:
    """A process that has a Spool `s` with samples, runs a script, and is killed."""
    head = (
        "import os, signal, numpy as np\nfrom pathlib import Path\nfrom cyberhans import wav\n"
        f"from cyberhans.spool import Spool\ns = Spool(Path({str(folder)!r}), 'a', 2, 1000)\n"
        "s.add(np.arange(-300, 300, dtype=np.int16).reshape(-1, 2))\n"
    )
    subprocess.run([sys.executable, "-c", f"{head}{script}\nos.kill(os.getpid(), signal.SIGKILL)"], check=False)


def test_what_a_killed_one_left_is_swept_away(tmp_path: Path) -> None:
    killed(tmp_path, "s.samples()\n(s.path.with_name('.a.json.123')).write_text('{')")
    assert files(tmp_path) == [".a.json.123", ".a.wav.draft"]
    Spool(tmp_path, "b", 2, 1000).discard()
    assert files(tmp_path) == []


def test_what_was_complete_is_finished(tmp_path: Path) -> None:
    text = 'f\'{{"sha256": "{s.seal()}"}}\'.encode()'
    killed(tmp_path, f"wav.write_whole(s.path.with_suffix('.json'), {text})")
    assert files(tmp_path) == [".a.wav.draft", "a.json"]
    Spool(tmp_path, "b", 2, 1000).discard()
    assert files(tmp_path) == ["a.json", "a.wav"]
    assert (wav.read(tmp_path / "a.wav")[0] == SAMPLES).all()


def test_another_one_under_way_is_left_alone(tmp_path: Path) -> None:
    one = Spool(tmp_path, "a", 2, 1000)
    one.add(SAMPLES)
    two = Spool(tmp_path, "b", 2, 1000)
    one.seal()
    assert one.publish("{}").exists()
    two.discard()
    assert files(tmp_path) == ["a.json", "a.wav"]


class Disk(FileIO):
    """A file on a disk that holds `room` bytes of it."""

    room = 150_000

    def write(self, data: Any) -> int:
        left = self.room - self.tell()
        if left <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(bytes(data)[:left])


def test_on_a_full_disk_what_there_is_becomes_a_whole_recording(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "a", 2, 1000)
    spool._draft.file.close()
    spool._draft.file = Disk(spool._draft.hidden, "r+")
    spool._draft.file.seek(wav.HEADER_BYTES)
    many = np.tile(SAMPLES, (100, 1))
    spool.add(many)
    with pytest.raises(Full, match="No space left"):
        spool.add(many)
    assert spool.frames == len(many) - SPARE // 4
    assert spool._draft.hidden.stat().st_size == wav.HEADER_BYTES + 4 * spool.frames <= Disk.room - SPARE
    digest = spool.seal()
    samples, _, content = wav.read(spool.publish("{}"))
    assert (samples == many[: spool.frames]).all() and digest == hashlib.sha256(content).hexdigest()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_disk_that_is_full_from_the_start_keeps_no_draft(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "a", 2, 1000)
    spool._draft.file.close()
    spool._draft.file = open("/dev/full", "r+b", buffering=0)  # noqa: SIM115
    with pytest.raises(Full, match="No space left"):
        spool.add(SAMPLES)
    assert spool.frames == 0
    spool.discard()
    assert files(tmp_path) == []


@pytest.mark.parametrize("when", ["settle_folder", "settle"])
def test_interrupted_while_it_appears_it_is_there_whole_or_not_at_all(
    when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    spool = Spool(tmp_path, "a", 2, 1000)
    spool.add(SAMPLES)
    text = json.dumps({"sha256": spool.seal()})
    with monkeypatch.context() as patched:
        patched.setattr(wav, when, interrupt)
        with pytest.raises(KeyboardInterrupt):
            spool.publish(text)
    spool.discard()
    assert files(tmp_path) == (["a.json", "a.wav"] if when == "settle_folder" else [])
