"""Mutant: one fault that is seeded in the firmware, or in a detector's C; all of them are in mutants.toml."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from cyberhans.errors import CyberHansError

LIST = Path(__file__).with_name("mutants.toml")
NUMBER = re.compile(r"0x[0-9a-f]+|-?\d+(?:\.\d+)?(?:e-?\d+)?")


@dataclass(frozen=True)
class Mutant:
    """One seeded fault.

    what      in words
    file      below firmware/, or detector/NAME of the detector's folder; "" where flags make the fault
    old, new  text that stands there once, and what takes its place; or:
    array, index, by  an array of tables.c or model.c by the end of its name, and what is added to one entry
    flags     more compiler flags
    stage     the one that the report has to name; "" where no stage differs
    seen_by   without a stage: the modules of the suite that are there for it, which have to see it by themselves
    board, detector  what it is tried on (hil/subjects.py)
    """

    name: str
    what: str
    file: str = ""
    old: str = ""
    new: str = ""
    array: str = ""
    index: int = 0
    by: float = 1
    flags: tuple[str, ...] = ()
    stage: str = ""
    seen_by: tuple[str, ...] = ()
    board: str = "native"
    detector: str = "small"

    def patched(self, text: str) -> str:
        """The file's text with the fault in it. Raises CyberHansError unless there is exactly one place for it."""
        return self._bumped(text) if self.array else self._swapped(text)

    def _swapped(self, text: str) -> str:
        if text.count(self.old) != 1 or self.old == self.new:
            raise CyberHansError(f"mutant {self.name}: {self.file} has {self.old!r} {text.count(self.old)} times; "
                                 "mend it in mutants.toml")  # fmt: skip
        return text.replace(self.old, self.new)

    def _bumped(self, text: str) -> str:
        found = re.findall(rf"{self.array}\[\d+\] = {{.*?}};", text, re.DOTALL)
        if len(found) != 1:
            raise CyberHansError(f"mutant {self.name}: {self.file} has {len(found)} arrays {self.array}; "
                                 "mend it in mutants.toml")  # fmt: skip
        head, body = found[0].split("{", 1)
        entry = list(NUMBER.finditer(body))[self.index]
        number = float(entry[0]) if "." in entry[0] else int(entry[0], 0)
        bumped = number + self.by if "." in entry[0] else int(number + self.by)
        return text.replace(found[0], f"{head}{{{body[: entry.start()]}{bumped}{body[entry.end() :]}")


UNMODIFIED = Mutant("unmodified", "firmware as it is")


def mutants() -> list[Mutant]:
    """All of mutants.toml, in its order. Raises TypeError where a key is none of Mutant's."""
    rows = tomllib.loads(LIST.read_text(encoding="utf-8"))
    return [Mutant(name, **{key: tuple(value) if isinstance(value, list) else value for key, value in row.items()})
            for name, row in rows.items()]  # fmt: skip
