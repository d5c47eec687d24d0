"""Draft: a recording in the making, hidden beside where it will be; it appears whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from io import FileIO
from pathlib import Path

from cyberhans import machine_file, sidecar, wav
from cyberhans.errors import CyberHansError

HIDDEN, DRAFT = ".", ".draft"
NAMES = 100  # recordings of one machine that may begin within a second
PORTION = 1 << 20  # bytes


class Draft:
    """The WAV file of `path`, as .NAME.wav.draft in the same folder; locked while this process lives.

    Killed at any moment, it leaves at most that draft, or the sidecar and the draft, which the next Draft in the folder
    removes, or makes whole where the sidecar is of it (it appears last before the WAV, when all is on the disk).
    Made by reserved() or draft_of(). Raises CyberHansError where nothing can be written.
    """

    def __init__(self, path: Path, hidden: Path, file: FileIO) -> None:
        self.path, self.hidden, self.file = path, hidden, file

    def write(self, data: bytes) -> None:
        """All of it: nothing waits in a buffer, so that closing the file writes nothing."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self.file.write(rest) :]
        except OSError as error:
            raise unwritable(self.hidden, error) from None

    def digest(self) -> str:
        """SHA-256 in hex of all so far."""
        try:
            return _digest(self.file)
        except OSError as error:
            raise unwritable(self.hidden, error) from None

    def publish(self, text: str) -> Path:
        """Let the recording appear: its sidecar with this text, then the WAV; gives the WAV's path."""
        try:
            wav.settle(self.file)
            wav.write_whole(self.path.with_suffix(".json"), text.encode())
            if sys.platform == "win32":
                self.file.close()  # there what is open cannot be renamed
            os.replace(self.hidden, self.path)
            wav.settle_folder(self.path.parent)
        except OSError as error:
            raise unwritable(self.path, error) from None
        self.file.close()
        return self.path

    def discard(self) -> None:
        """Leave nothing behind, unless it was published, or was interrupted when its sidecar was there already."""
        if not self.file.closed:
            with contextlib.suppress(OSError):
                _tidy(self.hidden, self.file)
            self.file.close()


def reserved(folder: Path, name: str) -> Draft:
    """Of NAME.wav or, where there is one, NAME-2.wav, ..."""
    for number in range(1, NAMES):
        path = folder / f"{name}{f'-{number}' if number > 1 else ''}.wav"
        draft = _opened(path, fresh=True)
        if draft:
            return draft
    raise CyberHansError(f"{folder / name}.wav: there are {NAMES} of that name; wait a second and repeat")


def draft_of(path: Path) -> Draft:
    """Of exactly this file, which may be there: it is replaced then."""
    draft = _opened(path, fresh=False)
    if draft is None:
        raise CyberHansError(f"{path}: another program is just writing it; wait for that and repeat")
    return draft


def sweep(folder: Path) -> None:
    """Finish or remove what was left by programs that were killed; those that still run keep theirs."""
    for hidden in folder.glob(f"{HIDDEN}*.wav{DRAFT}"):
        with contextlib.suppress(OSError), hidden.open("r+b", buffering=0) as file:
            if _lock(file):
                _tidy(hidden, file)


def _tidy(hidden: Path, file: FileIO) -> None:
    """Make whole a draft whose sidecar is there, which appears when all samples are on the disk; remove another."""
    path = hidden.with_name(hidden.name.removeprefix(HIDDEN).removesuffix(DRAFT))
    for whole in (path.with_suffix(".json"), path.with_name(machine_file.NAME)):
        for rest in wav.drafts(whole):
            rest.unlink()
    if _complete(path.with_suffix(".json"), file):
        os.replace(hidden, path)
    else:
        hidden.unlink()


def unwritable(path: Path, error: OSError) -> CyberHansError:
    return CyberHansError(f"{path}: cannot be written: {error.strerror}; mend that or choose another --out")


def _opened(path: Path, *, fresh: bool) -> Draft | None:
    """None where another one has that name; fresh: also where a recording has."""
    hidden = path.with_name(f"{HIDDEN}{path.name}{DRAFT}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent)
        if fresh and (path.exists() or path.with_suffix(".json").exists()):
            return None
        file = hidden.open("x+b", buffering=0)
    except OSError as error:
        if isinstance(error, FileExistsError) and path.parent.is_dir():
            return None
        raise unwritable(path.parent, error) from None
    if _lock(file) and hidden.exists():
        return Draft(path, hidden, file)
    file.close()
    return None  # another program swept it away before it was locked


def _complete(sidecar_path: Path, file: FileIO) -> bool:
    """Whether the sidecar that is there is of this draft."""
    with contextlib.suppress(CyberHansError):
        told = sidecar.read(sidecar_path).get("sha256")
        return told is not None and told == _digest(file)
    return False


def _digest(file: FileIO) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    while part := file.read(PORTION):
        digest.update(part)
    return digest.hexdigest()


def _lock(file: FileIO) -> bool:
    """Whether no other process has this file locked; it is then, until it is closed or its process ends."""
    if sys.platform == "win32":
        return True  # there a file that is open cannot be renamed or removed
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
