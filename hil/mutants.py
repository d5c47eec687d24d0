"""`make mutants`: the test of the tests. Firmware with one fault seeded in its C is built, and the suite has to catch it
and to name the stage in which it lies; of unmodified firmware it has to say nothing.

The faults are in mutants.toml. A patch that no longer applies is an error, so the list follows the C.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cyberhans.build import build
from cyberhans.core import firmware_dir
from cyberhans.detector import Detector, load_detector
from cyberhans.errors import CyberHansError
from hil.subjects import subject

HERE = Path(__file__).resolve().parent
SUITE = "cyberhans.hil.suite"
SUITE_SECONDS = 900.0
RIGHT_STAGE = 0.9  # of those caught that have a stage
NUMBER = re.compile(r"0x[0-9a-f]+|-?\d+(?:\.\d+)?(?:e-?\d+)?")
OF_THE_DETECTOR = "detector/"


@dataclass(frozen=True)
class Mutant:
    """One seeded fault.

    what      in words
    file      below firmware/, or detector/NAME of the detector's folder; "" where flags make the fault
    old, new  text that stands there once, and what takes its place; or:
    array, index, by  an array of tables.c or model.c by the end of its name, and what is added to one entry
    flags     more compiler flags
    stage     the one that the report has to name; "" where no stage differs
    seen_by   without a stage: the module of the suite that is there for it
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
    seen_by: str = ""
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
    rows = tomllib.loads((HERE / "mutants.toml").read_text(encoding="utf-8"))
    return [Mutant(name, **{key: tuple(value) if key == "flags" else value for key, value in row.items()})
            for name, row in rows.items()]  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What the suite made of one: the first test that failed, the stage that it names, why; seconds with the build."""

    mutant: Mutant
    caught: bool
    test: str
    stage: str
    why: str
    seconds: float

    @property
    def right(self) -> bool:
        return self.caught and self.stage == self.mutant.stage

    def to_dict(self) -> dict[str, Any]:
        told = {name: getattr(self.mutant, name) for name in ("name", "what", "board", "detector")}
        return told | {"expected": self.mutant.stage, "right": self.right} | {
            name: value for name, value in asdict(self).items() if name != "mutant"
        }  # fmt: skip


class Workshop:
    """Where mutants are built: a copy of firmware/ and of each detector's folder, patched for a while, and what a build
    leaves for the next one of the same board and detector, which compiles only what has changed."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch.resolve()
        self._firmware = self._scratch / "firmware"
        shutil.copytree(firmware_dir(), self._firmware)
        (self._scratch / "pytest.ini").write_text("[pytest]\njunit_family = xunit1\n")

    def detector(self, name: str) -> Detector:
        """The host's, which no mutant changes."""
        folder = self._scratch / "detectors" / name
        made = load_detector(folder) if folder.exists() else subject(name, folder)
        if not self._patched(name).exists():
            shutil.copytree(folder, self._patched(name))
        return made

    def _patched(self, name: str) -> Path:
        return self._scratch / "patched" / name

    @contextlib.contextmanager
    def seeded(self, mutant: Mutant) -> Iterator[None]:
        """The fault is in its file meanwhile. Raises CyberHansError where it does not apply."""
        detector = self.detector(mutant.detector)
        with contextlib.ExitStack() as stack:
            if mutant.file.startswith(OF_THE_DETECTOR):
                folder, name = self._patched(mutant.detector), mutant.file.removeprefix(OF_THE_DETECTOR)
                text = mutant.patched((folder / name).read_text())
                stack.enter_context(_rewritten(folder / name, text))
                stack.enter_context(_rewritten(folder / "detector.json", _described(detector, folder, name, text)))
            elif mutant.file:
                path = self._firmware / mutant.file
                stack.enter_context(_rewritten(path, mutant.patched(path.read_text())))
            yield

    def image(self, mutant: Mutant) -> Path:
        """Built with the fault in it. Raises CyberHansError."""
        with self.seeded(mutant):
            kept = "-".join((mutant.board, mutant.detector, *mutant.flags)).replace("/", "_")
            work = self._scratch / "work" / kept
            work.mkdir(parents=True, exist_ok=True)
            return build(self._patched(mutant.detector), mutant.board, self._scratch / "out" / mutant.name,
                         firmware=self._firmware, extra_flags=mutant.flags, work=work).image  # fmt: skip

    def outcome(self, mutant: Mutant) -> Outcome:
        """Build it and run the suite, parity first, until a test fails. One that does not build is not caught."""
        begun = time.monotonic()
        try:
            image = self.image(mutant)
        except CyberHansError as wrong:
            return Outcome(mutant, False, "", "", str(wrong), 0)
        code, (test, stage, why) = self._suite(mutant, image)
        shutil.rmtree(image.parent)
        return Outcome(mutant, code == 1, test, stage, why, round(time.monotonic() - begun, 1))

    def _suite(self, mutant: Mutant, image: Path) -> tuple[int | None, tuple[str, str, str]]:
        told = self._scratch / "told.xml"
        told.unlink(missing_ok=True)
        command = [
            sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", f"--junitxml={told}", "--pyargs",
            f"{SUITE}.test_parity", SUITE, "--device", f"board:{mutant.board}", "--hil-image", str(image),
            "--detector", str(self._scratch / "detectors" / mutant.detector),
        ]  # fmt: skip
        environment = os.environ | {"PYTHONPATH": str(HERE.parent)}
        environment.pop("PYTEST_ADDOPTS", None)
        try:
            done = subprocess.run(command, cwd=self._scratch, env=environment, capture_output=True, text=True,
                                  timeout=SUITE_SECONDS)  # fmt: skip
        except subprocess.TimeoutExpired:
            return None, ("", "", f"the suite hangs for {SUITE_SECONDS:g} s")
        if done.returncode > 1:
            return done.returncode, ("", "", (done.stderr + done.stdout).strip().splitlines()[-1])
        return done.returncode, first_failure(told)


@contextlib.contextmanager
def _rewritten(path: Path, text: str) -> Iterator[None]:
    before = path.read_text()
    path.write_text(text)
    try:
        yield
    finally:
        path.write_text(before)


def _described(detector: Detector, folder: Path, name: str, text: str) -> str:
    """detector.json of a folder whose file `name` is another: its digests fit again, or nothing would be built. What a
    device tells of itself stays, for it lies in detector.c: that it is another one has to be seen in what it computes."""
    fields = json.loads((folder / "detector.json").read_text())
    fields["files"][name] = hashlib.sha256(text.encode()).hexdigest()
    if name == "model.c":
        other = replace(detector, model=replace(detector.model, text=text))
        fields["digests"] |= {"model": other.model.digest.hex(), "detector": other.digest.hex()}
    return json.dumps(fields)


def first_failure(junit: Path) -> tuple[str, str, str]:
    """(test, stage, why) of the first test in JUnit's XML that failed; stage "" where it names none. Empty if none."""
    for case in ElementTree.parse(junit).getroot().iter("testcase"):
        wrong = next((part for part in case if part.tag in ("failure", "error")), None)
        if wrong is not None:
            noted = {part.get("name"): part.get("value", "") for part in case.iter("property")}
            stage = json.loads(noted["difference"])["stage"] if "difference" in noted else ""
            module = case.get("classname", "").rpartition(".")[2]
            return f"{module}::{case.get('name')}", stage, wrong.get("message", "").splitlines()[0]
    return "", "", ""


def clean(workshop: Workshop, chosen: Sequence[Mutant], runs: int) -> Iterator[Outcome]:
    """Unmodified firmware, `runs` times, on the boards and detectors of these mutants in turn."""
    pairs = list(dict.fromkeys((mutant.board, mutant.detector) for mutant in chosen))
    for number in range(runs):
        board, detector = pairs[number % len(pairs)]
        yield workshop.outcome(replace(UNMODIFIED, board=board, detector=detector))


def line(outcome: Outcome) -> str:
    """For people."""
    mutant = outcome.mutant
    place = f"{mutant.board}, {mutant.detector}"
    stage = f"{mutant.stage or '-'} > {outcome.stage or '-'}"
    caught = "caught" if outcome.caught else "SURVIVES" if mutant.file or mutant.flags else "quiet"
    return f"{mutant.name:34} {place:28} {caught:8} {stage:23} {outcome.seconds:6.1f} s  {outcome.test or outcome.why}"


def summary(outcomes: Sequence[Outcome], quiet: Sequence[Outcome]) -> dict[str, Any]:
    """Counts, and whether all is as it must be."""
    staged = [outcome for outcome in outcomes if outcome.mutant.stage]
    right = sum(outcome.right for outcome in staged)
    survivors = [outcome.mutant.name for outcome in outcomes if not outcome.caught]
    alarms = sum(bool(outcome.test or outcome.why) for outcome in quiet)
    good = not survivors and not alarms and right >= RIGHT_STAGE * len(staged)
    return {"mutants": len(outcomes), "survivors": survivors, "with_a_stage": len(staged), "right_stage": right,
            "clean_runs": len(quiet), "false_alarms": alarms, "good": good}  # fmt: skip


def run(names: Sequence[str], runs: int, as_json: bool) -> int:
    """Print a line each; 0 if every one is caught, enough stages are right, and unmodified firmware raises no alarm."""
    known = {mutant.name: mutant for mutant in mutants()}
    if unknown := [name for name in names if name not in known]:
        raise CyberHansError(f"no mutant {unknown[0]}; choose {', '.join(known)}")
    chosen = [known[name] for name in names] or list(known.values())
    done: dict[bool, list[Outcome]] = {True: [], False: []}
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        workshop = Workshop(Path(scratch))
        for outcome in itertools.chain(clean(workshop, chosen, runs), map(workshop.outcome, chosen)):
            done[outcome.mutant.name == UNMODIFIED.name].append(outcome)
            print(json.dumps(outcome.to_dict()) if as_json else line(outcome), flush=True)
    found = summary(done[False], done[True])
    print(json.dumps(found) if as_json else ", ".join(f"{name} {value}" for name, value in found.items()))
    return 0 if found["good"] else 1


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m hil.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="some of them; all unless given")
    parser.add_argument("--clean", type=int, default=20, metavar="N", help="runs on unmodified firmware (20)")
    parser.add_argument("--json", action="store_true", help="a line of JSON each, and one for all")
    asked = parser.parse_args(arguments)
    try:
        return run(asked.names, asked.clean, asked.json)
    except CyberHansError as wrong:
        print(f"mutants: {wrong}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
