"""`make mutants`: the test of the tests. Firmware with one fault seeded in its C is built; the suite has to catch
it and to name the stage in which it lies. Of unmodified firmware it has to say nothing.

The faults are in mutants.toml. A patch that no longer applies is an error, so the list follows the C.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cyberhans import hil
from cyberhans.errors import CyberHansError
from hil.mutant import UNMODIFIED, Mutant, mutants
from hil.suite import tests_of
from hil.workshop import Workshop

ROOT = Path(__file__).resolve().parent.parent
SUITE = "cyberhans.hil.suite"
FOLDER = Path(hil.__file__).parent / "suite"
SUITE_SECONDS = 900.0
RIGHT_STAGE = 0.9  # of those that have a stage


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
        """It names the stage; where none differs, the test that failed is in a module that is there for it."""
        if self.mutant.stage:
            return self.caught and self.stage == self.mutant.stage
        return self.caught and self.test.split("::")[0].removeprefix("test_") in self.mutant.seen_by

    @property
    def quiet(self) -> bool:
        """The suite ran to its end and found nothing."""
        return not self.caught and not self.why

    def to_dict(self) -> dict[str, Any]:
        told = {name: getattr(self.mutant, name) for name in ("name", "what", "board", "detector")}
        return told | {"expected": self.mutant.stage or list(self.mutant.seen_by), "right": self.right} | {
            name: value for name, value in asdict(self).items() if name != "mutant"
        }  # fmt: skip


def outcome(workshop: Workshop, mutant: Mutant) -> Outcome:
    """Build it and run the suite until a test fails: what is there for it, or parity, which names stages, then all
    else. One that does not build is not caught."""
    begun, code = time.monotonic(), 0
    try:
        image = workshop.image(mutant)
    except CyberHansError as wrong:
        return Outcome(mutant, False, "", "", str(wrong), 0.0)
    found = ("", "", "")
    for part in _parts(workshop, mutant):
        code, found = _suite(workshop, mutant, image, part)
        if code != 0:
            break
    shutil.rmtree(image.parent)
    return Outcome(mutant, code == 1, *found, round(time.monotonic() - begun, 1))


def _parts(workshop: Workshop, mutant: Mutant) -> list[list[str]]:
    """Of the suite, one after the other: modules and options. Of unmodified firmware every test runs but that of the
    costs, which are not those of this image."""
    if mutant.name == UNMODIFIED.name:
        count = tests_of(workshop.detector(mutant.detector)) - 1
        return [[SUITE, _without("costs"), "--hil-require", f"--hil-count={count}"]]
    first = mutant.seen_by or ("parity",)
    return [[f"{SUITE}.test_{name}" for name in first], [SUITE, *map(_without, first)]]


def _without(module: str) -> str:
    return f"--ignore={FOLDER / f'test_{module}.py'}"


def _suite(workshop: Workshop, mutant: Mutant, image: Path, part: Sequence[str]) -> tuple[int, tuple[str, str, str]]:
    """Of pytest, as a user runs it: the exit code, and test, stage and why of the first failure."""
    folder = workshop.detector(mutant.detector).folder
    told = image.with_name("told.xml")
    command = [
        sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-o", "junit_family=xunit1",
        f"--junitxml={told}", "--pyargs", *part, "--device", f"board:{mutant.board}", "--hil-image", str(image),
        "--detector", str(folder),
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    environment.pop("PYTEST_ADDOPTS", None)
    try:
        done = subprocess.run(command, cwd=image.parent, env=environment, capture_output=True, text=True,
                              timeout=SUITE_SECONDS)  # fmt: skip
    except subprocess.TimeoutExpired:
        return -1, ("", "", f"the suite hangs for {SUITE_SECONDS:g} s")
    found = first_failure(told) if done.returncode <= 1 else ("", "", "")
    if done.returncode and not any(found):
        return done.returncode, ("", "", (done.stderr + done.stdout).strip().splitlines()[-1])
    return done.returncode, found


def first_failure(junit: Path) -> tuple[str, str, str]:
    """(test, stage, why) of the first test in JUnit's XML that failed; stage "" where it names none. Empty if none."""
    for case in ElementTree.parse(junit).getroot().iter("testcase"):
        wrong = next((part for part in case if part.tag in ("failure", "error")), None)
        if wrong is not None:
            noted = {part.get("name"): part.get("value", "") for part in case.iter("property")}
            stage = json.loads(noted["difference"])["stage"] if "difference" in noted else ""
            module = Path(case.get("file", "")).stem
            return f"{module}::{case.get('name')}", stage, wrong.get("message", "").splitlines()[0]
    return "", "", ""


def clean(workshop: Workshop, chosen: Sequence[Mutant], runs: int) -> Iterator[Outcome]:
    """Unmodified firmware, `runs` times, on the boards and detectors of these mutants in turn."""
    pairs = list(dict.fromkeys((mutant.board, mutant.detector) for mutant in chosen))
    for number in range(runs):
        board, detector = pairs[number % len(pairs)]
        yield outcome(workshop, replace(UNMODIFIED, board=board, detector=detector))


def line(found: Outcome) -> str:
    """For people."""
    mutant = found.mutant
    place = f"{mutant.board}, {mutant.detector}"
    stage = f"{mutant.stage or ' '.join(mutant.seen_by) or '-'} > {found.stage or '-'}"
    if mutant.name == UNMODIFIED.name:
        said = "quiet" if found.quiet else "BLAMED"
    else:
        said = "caught" if found.caught else "SURVIVES"
    return f"{mutant.name:34} {place:28} {said:8} {stage:23} {found.seconds:6.1f} s  {found.test or found.why}"


def summary(tried: Sequence[Outcome], clean_runs: Sequence[Outcome]) -> dict[str, Any]:
    """Counts, and whether all is as it must be."""
    staged = [one for one in tried if one.mutant.stage]
    right = sum(one.right for one in staged)
    survivors = [one.mutant.name for one in tried if not one.caught]
    elsewhere = [one.mutant.name for one in tried if one.caught and not one.mutant.stage and not one.right]
    blamed = sum(not one.quiet for one in clean_runs)
    good = not survivors and not elsewhere and not blamed and right >= RIGHT_STAGE * len(staged)
    return {"mutants": len(tried), "survivors": survivors, "with_a_stage": len(staged), "right_stage": right,
            "seen_elsewhere": elsewhere, "clean_runs": len(clean_runs), "false_alarms": blamed,
            "good": good}  # fmt: skip


def run(names: Sequence[str], runs: int, as_json: bool) -> int:
    """Print a line each; 0 if every one is caught, enough stages are right, and unmodified firmware raises no alarm."""
    known = {mutant.name: mutant for mutant in mutants()}
    if unknown := [name for name in names if name not in known]:
        raise CyberHansError(f"no mutant {unknown[0]}; choose {', '.join(known)}")
    chosen = [known[name] for name in names] or list(known.values())
    done: dict[bool, list[Outcome]] = {True: [], False: []}
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        workshop = Workshop(Path(scratch))
        tried = (outcome(workshop, mutant) for mutant in chosen)
        for one in itertools.chain(clean(workshop, chosen, runs), tried):
            done[one.mutant.name == UNMODIFIED.name].append(one)
            print(json.dumps(one.to_dict()) if as_json else line(one), flush=True)
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
