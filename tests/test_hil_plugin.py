"""The pytest plugin as its users run it: options, names of tests, what is skipped, what fails."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from small_detector import small_detector, small_image

ROOT = Path(__file__).resolve().parent.parent
TEST = """
def test_answers(hil_device, hil_record):
    hil_record("mode", hil_device.ask_info().mode)

def test_windows(hil_station, hil_windows):
    assert hil_windows.shape[1:] == hil_station.detector.golden.shape[1:]

def test_of_no_device():
    pass
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two detectors, `quiet` and `loud`."""
    root = tmp_path_factory.mktemp("detectors")
    small_detector(root / "quiet")
    small_detector(root / "loud", centre=3100)
    return root / "quiet", root / "loud"


def run(folder: Path, *arguments: object, test: str = TEST) -> subprocess.CompletedProcess[str]:
    (folder / "test_mine.py").write_text(test)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "", "COLUMNS": "300"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def counts(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """Of the last line: passed, failed, skipped, error."""
    return {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped|error)", done.stdout)}


def ids(done: subprocess.CompletedProcess[str]) -> list[str]:
    return re.findall(r"^\S*test_mine\.py::(\S+)", done.stdout, re.MULTILINE)


def test_without_a_device_tests_are_skipped_and_say_so(tmp_path: Path) -> None:
    done = run(tmp_path, "-rs")
    assert (done.returncode, counts(done)) == (0, {"passed": 1, "skipped": 2})
    assert "no device: give --device URL, as board:native, or --hil-map devices.toml" in done.stdout


def test_without_a_detector_tests_are_skipped_and_say_so(tmp_path: Path) -> None:
    done = run(tmp_path, "-rs", "--device", "board:native")
    assert counts(done) == {"passed": 1, "skipped": 2}
    assert "no detector: give --detector FOLDER" in done.stdout


def test_a_skipped_test_is_a_failure_where_it_is_required(tmp_path: Path) -> None:
    done = run(tmp_path, "--hil-require")
    assert done.returncode == 1
    assert "skipped, and --hil-require: " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--device", "board:nativ"], "unknown board 'nativ': did you mean native?"),
        (["--hil-map", "devices.toml"], "devices.toml: No such file or directory"),
        (["--device", "board:native", "--detector", "nowhere"], "nowhere"),
        (["--device", "board:native", "--device", "board:native"], "native is given twice"),
        (["--device", "/dev/null", "--hil-image", "x.elf"], "--hil-image goes with --device board:NAME"),
    ],
)
def test_bad_options_end_the_run_with_one_line(tmp_path: Path, arguments: list[str], said: str) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode == 4
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    assert said in line and "Traceback" not in done.stdout + done.stderr


def test_a_bad_map_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "devices.toml").write_text('[desk]\nurll = "board:native"')
    done = run(tmp_path, "--hil-map", "devices.toml")
    assert done.returncode == 4
    assert "devices.toml: device desk has no key 'urll': did you mean url?" in done.stderr


def test_tests_are_named_after_device_detector_and_windows(folders: tuple[Path, Path], tmp_path: Path) -> None:
    """Of two devices and two detectors, without running one."""
    (tmp_path / "devices.toml").write_text('[left]\nurl = "board:native"\n[right]\nurl = "board:microbit"\n')
    line = ["--hil-map", "devices.toml", "--detector", folders[0], "--detector", folders[1]]
    done = run(tmp_path, *line, "--collect-only", "-q", "-q")
    pairs = [f"{device}-{detector}" for device in ("left", "right") for detector in ("quiet", "loud")]
    wanted = {f"test_answers[{pair}]" for pair in pairs}
    wanted |= {f"test_windows[{pair}-{source}]" for pair in pairs for source in ("golden", "adversarial")}
    assert set(ids(done)) == wanted | {"test_of_no_device"}


def test_two_folders_of_one_name_are_one_line(folders: tuple[Path, Path], tmp_path: Path) -> None:
    done = run(tmp_path, "--device", "board:native", "--detector", folders[0], "--detector", folders[0])
    assert done.returncode == 4 and "two folders are called quiet" in done.stderr


def test_tests_of_one_device_are_counted(tmp_path: Path) -> None:
    """All run on an image that is there already; one too few fails."""
    detector, image = small_image()
    line = ["--device", "board:native", "--detector", detector.folder, "--hil-image", image, "--junitxml", "j.xml"]
    good = run(tmp_path, *line, "--hil-require", "--hil-count", 3)
    assert (good.returncode, counts(good)) == (0, {"passed": 4})
    found = (tmp_path / "j.xml").read_text()
    for name, value in {"mode": "0", "hil_device": "native", "hil_recording": "adversarial"}.items():
        assert f'<property name="{name}" value="{value}"' in found
    few = run(tmp_path, *line, "--hil-count", 4)
    assert few.returncode == 1 and "3 tests of devices ran, --hil-count 4" in few.stdout


def test_another_detector_on_the_device_is_one_line(folders: tuple[Path, Path], tmp_path: Path) -> None:
    _, image = small_image()
    done = run(tmp_path, "--device", "board:native", "--detector", folders[1], "--hil-image", image)
    assert done.returncode == 1
    assert "holds another detector: model digest" in done.stdout


@pytest.mark.slow
def test_devices_run_side_by_side_each_on_a_worker_of_its_own(tmp_path: Path) -> None:
    """`-n 2`: the count is that of both workers together."""
    detector, image = small_image()
    (tmp_path / "devices.toml").write_text('[left]\nurl = "board:native"\n[right]\nurl = "board:native"\n')
    line = ["--hil-map", "devices.toml", "--detector", detector.folder, "--hil-image", image]
    done = run(tmp_path, *line, "-n", "2", "--hil-require", "--hil-count", 6)
    assert (done.returncode, counts(done)) == (0, {"passed": 7}), done.stdout
    workers = [set(re.findall(rf"\[(gw\d)\][^\n]*\[{device}-", done.stdout)) for device in ("left", "right")]
    assert [len(found) for found in workers] == [1, 1], done.stdout


@pytest.mark.slow
def test_a_failed_test_leaves_a_device_that_works_to_the_next(tmp_path: Path) -> None:
    detector, image = small_image()
    test = (
        "import os, signal\n"
        "def test_kills(hil_device, hil_station):\n"
        "    os.kill(hil_station.pid, signal.SIGKILL)\n"
        "    hil_device.ask_info()\n"
        "def test_works(hil_device):\n    assert hil_device.ask_info().status == 0\n"
    )
    line = ["--device", "board:native", "--detector", detector.folder, "--hil-image", image]
    done = run(tmp_path, *line, test=test)
    assert counts(done) == {"passed": 1, "failed": 1}
    assert "the device went away" in done.stdout
