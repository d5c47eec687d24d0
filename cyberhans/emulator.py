"""A board that runs on this computer: the native process or an emulator, and the URL of its serial port."""

from __future__ import annotations

import atexit
import select
import shutil
import socket
import subprocess
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from cyberhans.boards import Board, emulator_command, emulator_missing
from cyberhans.errors import CyberHansError

START_SECONDS = 10.0
EXIT_SECONDS = 1.0  # a child's pipes and ports are gone a little before the child


class Emulator:
    """Runs `image` on `board` until close() or the end of the `with` block, at the latest until this Python ends.

    `url` is where its serial port is.
    """

    def __init__(self, board: Board, image: Path, counting: bool = False, arguments: Sequence[str] = ()) -> None:
        """counting: let port_ticks() follow the instructions, where the emulator can. arguments: of a native image,
        see firmware/boards/native/native.h. Raises CyberHansError."""
        lacking = emulator_missing(board)
        if lacking:
            raise CyberHansError(f"{board.name} cannot run here: {lacking}")
        if not image.is_file():
            raise CyberHansError(f"{image}: no such image; make it by: cyberhans build DETECTOR --board {board.name}")
        self.board = board
        self.counting = counting and board.bare
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        with _listener() as listener:
            port, number = listener.getsockname()[1], listener.fileno()
            command = [*emulator_command(board, image.resolve(), number, self.counting), *arguments]
            try:
                self._child = subprocess.Popen(
                    [*_dying_with_parent(board), *command],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._complaints,
                    pass_fds=[number] if board.bare else [],
                    start_new_session=True,  # Ctrl-C is for this program, not for the board
                )
            except OSError as error:
                self._complaints.close()
                raise CyberHansError(f"{image}: does not run on {board.name}: {error.strerror}; make it by: "
                                     f"cyberhans build DETECTOR --board {board.name}") from None  # fmt: skip
        _running.add(self)
        try:
            self.url = f"socket://127.0.0.1:{port}" if board.bare else self._first_line()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ended(self, seconds: float = 0.0) -> str | None:
        """Why it runs no more, in a few words; None if it still runs after `seconds`."""
        try:
            self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        self._complaints.seek(0)
        lines = self._complaints.read().decode(errors="replace").strip().splitlines()
        return f"the {self.board.name} emulator ended with exit code {self._child.returncode}" + (
            f": {lines[0]}" if lines else ""
        )

    def close(self) -> None:
        """End the child and wait for it. May be called again."""
        self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout, self._complaints):
            if pipe:
                pipe.close()
        _running.discard(self)

    @property
    def pid(self) -> int:
        return self._child.pid

    def _first_line(self) -> str:
        """The pty that a native image prints."""
        assert self._child.stdout
        if select.select([self._child.stdout], [], [], START_SECONDS)[0]:
            line = self._child.stdout.readline().decode(errors="replace").strip()
            if line:
                return line
        raise CyberHansError(
            self.ended(EXIT_SECONDS) or f"the {self.board.name} image told no serial port; build it again"
        )


def _listener() -> socket.socket:
    """A socket that listens already, for the emulator to inherit: so no other program can take its port meanwhile."""
    return socket.create_server(("127.0.0.1", 0))


def _dying_with_parent(board: Board) -> list[str]:
    """A native image ends with its standard input; an emulator needs the kernel's help where this Python is killed."""
    found = shutil.which("setpriv")
    return [found, "--pdeathsig", "KILL", "--"] if found and board.bare else []


_running: weakref.WeakSet[Emulator] = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    for emulator in list(_running):
        emulator.close()
