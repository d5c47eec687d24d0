"""The suite has teeth: firmware with one seeded fault is caught, and the stage where it lies is named; unmodified
firmware is not blamed. `make mutants` takes them all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from counts import ENDURANCE

from cyberhans.boards import board
from cyberhans.core import Stage, firmware_dir
from hil.mutant import UNMODIFIED, Mutant, mutants
from hil.mutants import Outcome, clean, first_failure, outcome, summary
from hil.subjects import SUBJECTS, TOYS
from hil.workshop import OF_THE_DETECTOR, Workshop

MUTANTS = mutants()
MISNAMED = {"hop-of-windows-off-by-one"}  # the device tells that its windows begin elsewhere: they are sent again, anew
REDUCED = (  # one of each kind: a butterfly, a bound, a comparison, k of n, the link, a table
    "rounding-dropped-in-a-butterfly", "carry-lost", "threshold-or-equal", "one-vote-more", "rate-big-endian",
    "edge-wrong",
)  # fmt: skip
CLEAN = 20
STAGES = {stage.name.lower() for stage in Stage}


def parameters() -> list[object]:
    chosen = MUTANTS if ENDURANCE else [mutant for mutant in MUTANTS if mutant.name in REDUCED]
    return [pytest.param(mutant, id=mutant.name, marks=[pytest.mark.emulator] if board(mutant.board).bare else [])
            for mutant in chosen]  # fmt: skip


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("mutants"))


def test_there_are_thirty_and_each_stage_has_some() -> None:
    assert len(MUTANTS) >= 30
    assert {mutant.stage for mutant in MUTANTS} == STAGES | {""}
    assert len(MISNAMED) <= 0.1 * sum(bool(mutant.stage) for mutant in MUTANTS)
    assert {*REDUCED, *MISNAMED} <= {mutant.name for mutant in MUTANTS}


def test_each_says_what_it_is_and_who_sees_it() -> None:
    for mutant in MUTANTS:
        assert mutant.what and bool(mutant.stage) != bool(mutant.seen_by), mutant.name
        assert mutant.detector in SUBJECTS and board(mutant.board), mutant.name
        assert bool(mutant.file) != bool(mutant.flags), mutant.name


OF_THE_FIRMWARE = [mutant for mutant in MUTANTS if mutant.file and not mutant.file.startswith(OF_THE_DETECTOR)]


@pytest.mark.parametrize("mutant", OF_THE_FIRMWARE, ids=lambda mutant: mutant.name)
def test_each_patch_of_the_firmware_applies_once(mutant: Mutant) -> None:
    text = (firmware_dir() / mutant.file).read_text()
    assert mutant.patched(text) != text


@pytest.mark.slow
def test_each_patch_of_a_detector_applies_once(workshop: Workshop) -> None:
    for mutant in MUTANTS:
        if mutant.file.startswith(OF_THE_DETECTOR) and (ENDURANCE or mutant.detector in TOYS):
            with workshop.seeded(mutant):
                pass


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("mutant", parameters())
def test_a_seeded_fault_is_caught_in_its_stage(
    mutant: Mutant, workshop: Workshop, record_property: Callable[[str, object], None]
) -> None:
    found = outcome(workshop, mutant)
    assert found.caught, found.to_dict()
    assert found.right or mutant.name in MISNAMED, found.to_dict()
    record_property("total mutants of the firmware caught", 1)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_unmodified_firmware_is_not_blamed(workshop: Workshop, record_property: Callable[[str, object], None]) -> None:
    runs = clean(workshop, MUTANTS, CLEAN) if ENDURANCE else [outcome(workshop, replace(UNMODIFIED, detector="states"))]
    for found in runs:
        assert found.quiet, found.to_dict()
    record_property("total runs of the suite on unmodified firmware", CLEAN if ENDURANCE else 1)


def test_the_first_failure_of_a_page_is_read(tmp_path: Path) -> None:
    page = tmp_path / "junit.xml"
    noted = '<properties><property name="difference" value="{&quot;stage&quot;: &quot;bands&quot;}"/></properties>'
    good, bad, worse = (f'<testcase file="../a/test_b.py" name="{name}">{{}}</testcase>' for name in ("g", "b", "w"))
    page.write_text(f"<testsuite>{good.format('')}</testsuite>")
    assert first_failure(page) == ("", "", "")
    failed = bad.format(f'{noted}<failure message="why&#10;more"/>') + worse.format('<error message="else"/>')
    page.write_text(f"<testsuite>{good.format('')}{failed}</testsuite>")
    assert first_failure(page) == ("test_b::b", "bands", "why")


def test_the_summary_is_good_only_if_all_is() -> None:
    """All caught, nine of ten stages right, no false alarm."""
    caught = [Outcome(mutant, True, f"test_{(*mutant.seen_by, 'parity')[0]}::test", mutant.stage, "", 1.0)
              for mutant in MUTANTS]  # fmt: skip
    survivor = Outcome(MUTANTS[0], False, "", "", "", 1.0)
    misnamed = [replace(one, stage="") for one in caught]
    quiet, blamed = Outcome(UNMODIFIED, False, "", "", "", 1.0), Outcome(UNMODIFIED, True, "test", "", "", 1.0)
    assert summary(caught, [quiet])["good"]
    assert not summary([*caught, survivor], [quiet])["good"]
    assert not summary(misnamed, [quiet])["good"]
    by_another = replace(next(one for one in caught if one.mutant.seen_by == ("robustness",)), test="test_soak::test")
    assert summary([*caught, by_another], [quiet])["seen_elsewhere"] == [by_another.mutant.name]
    assert not summary([*caught, by_another], [quiet])["good"]
    assert not summary(caught, [quiet, blamed])["good"]
