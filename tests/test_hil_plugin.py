"""The pytest plugin as its users run it: options, names of tests, what is skipped, what fails."""

from __future__ import annotations

import html
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small_detector import small_detector, small_image, small_spec

from cyberhans.packet_log import Happening, read_log

pytestmark = pytest.mark.slow  # each is a run of pytest
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
    outer = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    environment = outer | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "", "COLUMNS": "300"}
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
        (["--device", "board:native", "--hil-image", "x.elf"], "x.elf: no such file; make it by: cyberhans build"),
        (
            ["--device", "board:native", "--device", "board:microbit", "--hil-image", "test_mine.py"],
            "--hil-image is of one board, and microbit, native are asked for",
        ),
        (["--device", "board:native", "--hil-log-dir", "test_mine.py"], "cannot be written: File exists; choose"),
        (["--device", "board:native", "--hil-log-dir", "/proc/x"], "report.html cannot be written: "),
        (["--device", "board:native", "--update-baseline", "--hil-baseline", "/proc/x/y"], "--hil-baseline: /proc/x/y"),
        (["--device", "board:native", "--update-baseline", "--hil-baseline", "/proc"], "--hil-baseline: /proc"),
        (["--device", "board:native", "--update-baseline", "--hil-baseline", "test_mine.py"], "no baseline of figures"),
    ],
)
def test_bad_options_end_the_run_with_one_line(tmp_path: Path, arguments: list[str], said: str) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode == 4
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    assert said in line and "Traceback" not in done.stdout + done.stderr


def one_line(done: subprocess.CompletedProcess[str], said: str) -> bool:
    lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    plain = "Traceback" not in done.stdout + done.stderr and "INTERNALERROR" not in done.stdout + done.stderr
    return done.returncode == 4 and len(lines) == 1 and said in lines[0] and plain


def test_recordings_that_are_not_there_are_one_line(folders: tuple[Path, Path], tmp_path: Path) -> None:
    line = ["--device", "board:native", "--detector", folders[0], "--hil-recordings"]
    assert one_line(run(tmp_path, *line, "nowhere"), "nowhere")
    (tmp_path / "empty").mkdir()
    assert one_line(run(tmp_path, *line, "empty"), "empty: 0 WAV files, none of")


def test_a_report_without_jinja2_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("import sys\nsys.modules['jinja2'] = None\n")
    done = run(tmp_path, "--device", "board:native", "--hil-log-dir", "log")
    assert one_line(done, "the report needs jinja2: pip install jinja2")
    assert counts(run(tmp_path, "--device", "board:native")) == {"passed": 1, "skipped": 2}


def test_names_that_cannot_be_told_apart_are_one_line(folders: tuple[Path, Path], tmp_path: Path) -> None:
    """pump with 2-fan, and pump-2 with fan."""
    for name in ("fan", "2-fan", "lüfter"):
        shutil.copytree(folders[0], tmp_path / name)
    (tmp_path / "devices.toml").write_text('[pump]\nurl = "board:native"\n[pump-2]\nurl = "board:native"\n')
    line = ["--hil-map", "devices.toml", "--collect-only", "--detector"]
    done = run(tmp_path, *line, "fan", "--detector", "2-fan")
    assert one_line(done, "device pump-2 with detector fan cannot be told from device pump")
    assert run(tmp_path, *line, "fan").returncode == run(tmp_path, *line, "2-fan").returncode == 0
    assert one_line(run(tmp_path, *line, "lüfter"), "--detector 'lüfter': tests are named after the folder: rename it")


def test_a_map_of_which_none_is_connected_says_so(folders: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "devices.toml").write_text('[desk]\nurl = "board:native"\nconnected = false\n')
    done = run(tmp_path, "--hil-map", "devices.toml", "--detector", folders[0], "-rs")
    assert (done.returncode, counts(done)) == (0, {"passed": 1, "skipped": 2})
    assert "no device of devices.toml is connected: ask for one by --device ID" in done.stdout


def test_a_module_that_is_skipped_as_a_whole_is_an_error_where_it_is_required(tmp_path: Path) -> None:
    test = "import pytest\npytest.importorskip('no_such_module')\ndef test_it(hil_device): pass\n"
    assert run(tmp_path, test=test).returncode == 5
    done = run(tmp_path, "--hil-require", test=test)
    assert done.returncode == 2 and "skipped, and --hil-require: " in done.stdout and "no_such_module" in done.stdout


def test_tests_of_devices_have_a_mark(tmp_path: Path) -> None:
    assert counts(run(tmp_path, "-m", "hil")) == {"skipped": 2}
    assert counts(run(tmp_path, "-m", "not hil")) == {"passed": 1}


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


MIXED = TEST + "\ndef test_last(hil_device):\n    pass\n"  # with windows and without, which pytest would mix


def test_all_tests_of_a_device_with_a_detector_come_together(folders: tuple[Path, Path], tmp_path: Path) -> None:
    """So a device is flashed once with each detector."""
    line = ["--device", "board:native", "--device", "board:microbit", "--detector", folders[0]]
    done = run(tmp_path, *line, "--detector", folders[1], "--collect-only", "-q", "-q", test=MIXED)
    names = [re.search(r"\[(\w+-\w+)", name) for name in ids(done)]
    pairs = [found[1] for found in names if found]
    assert len(pairs) == 4 * 4
    assert [pair for pair, _ in itertools.groupby(pairs)] == [
        f"{device}-{detector}" for device in ("native", "microbit") for detector in ("quiet", "loud")
    ]
    assert len(set(ids(done))) == 4 * 4 + 1


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


RECORDS = """
import numpy as np
from pathlib import Path
from cyberhans.messages import Mode

def test_records(hil_station, hil_record):
    told = {"half": np.float32(0.5), "seven": np.int16(7), "yes": np.bool_(True), "mode": Mode.HOST, "none": None}
    told |= {"path": Path("x"), "row": (1, np.int8(2)), "tree": {3: np.float64(4)}, "five": np.array(5), "odd": 1j}
    for name, value in told.items():
        hil_record(name, value)
"""


@pytest.mark.parametrize("workers", [[], ["-n", "1"]])
def test_any_figure_may_be_recorded(workers: list[str], tmp_path: Path) -> None:
    detector, image = small_image()
    line = ["--device", "board:native", "--detector", detector.folder, "--hil-image", image, "--junitxml", "j.xml"]
    done = run(tmp_path, *line, *workers, test=RECORDS)
    assert (done.returncode, counts(done)) == (0, {"passed": 1}), done.stdout
    told = dict(re.findall(r'<property name="(\w+)" value="([^"]*)"', (tmp_path / "j.xml").read_text()))
    assert [told[name] for name in ("half", "seven", "yes", "mode", "none")] == ["0.5", "7", "True", "1", "None"]
    assert [told[name] for name in ("path", "row", "tree", "five", "odd")] == ["x", "[1, 2]", "{'3': 4.0}", "5", "1j"]


LOGGED = """
import os, pytest

def test_fails(hil_device):
    assert hil_device.ask_info().status == 99

@pytest.fixture
def broken(hil_device):
    hil_device.ask_info()
    raise ValueError("not set up")

def test_is_not_set_up(broken):
    pass

def test_crashes(hil_device):
    hil_device.ask_info()
    if os.environ.get("PYTEST_XDIST_WORKER") == "gw0":
        os._exit(1)  # the next worker runs it once more

def test_after(hil_device):
    assert hil_device.ask_info().status == 0
"""


def logged(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    detector, image = small_image()
    line = ["--device", "board:native", "--detector", detector.folder, "--hil-image", image, "--hil-log-dir", "log"]
    return run(folder, *line, *more, test=LOGGED)


def test_evidence_of_what_failed_ends_with_the_packets_of_the_test(tmp_path: Path) -> None:
    """In a call and in a fixture: before the device was closed, which is in the log as well."""
    done = logged(tmp_path)
    assert counts(done) == {"passed": 2, "failed": 1, "error": 1}, done.stdout
    log = read_log(tmp_path / "log" / "native-detector.jsonl")
    assert sum(entry.what == Happening("closed", {}) for entry in log) >= 2 and not log.cut
    links = re.findall(r"<pre[^>]*>(\{.*?)</pre>", html.unescape((tmp_path / "log" / "report.html").read_text()), re.S)
    last = [
        json.loads(link.splitlines()[-1].removesuffix(" ...") + '"}' * link.endswith("..."))["type"] for link in links
    ]
    assert len(last) == 2 and set(last) <= {"INFO_REPLY", "VERDICT"}  # of run mode, which goes on; none of the closing


def test_the_log_of_a_worker_that_crashed_stays_and_the_next_run_begins_anew(tmp_path: Path) -> None:
    done = logged(tmp_path, "-n", "1")
    assert counts(done) == {"passed": 2, "failed": 2, "error": 1}, done.stdout
    (first, second) = logs = sorted((tmp_path / "log").glob("*.jsonl"))
    assert [path.name for path in logs] == ["native-detector+2.jsonl", "native-detector.jsonl"]
    assert all(read_log(path).device == "native" and len(list(read_log(path))) > 4 for path in (first, second))
    logged(tmp_path, "-k", "after")
    assert [path.name for path in (tmp_path / "log").glob("*.jsonl")] == ["native-detector.jsonl"]
    assert len(list(read_log(second))) < 10


# The port is there a moment after the command has ended; the firmware ends when nobody holds `power` any more.
FLASHES = """\
echo "$1" >> flashed
rm -f port
cp --remove-destination "$1" firmware
(./firmware < power > said & sleep 0.3; ln -s "$(cat said)" port) > /dev/null 2>&1 &
"""


def test_a_device_is_flashed_once_with_each_detector(folders: tuple[Path, Path], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "power")
    (tmp_path / "flash.sh").write_text(FLASHES)
    row = f'[desk]\nurl = "{tmp_path / "port"}"\nboard = "native"\nflash = "sh flash.sh {{elf}}"\n'
    (tmp_path / "devices.toml").write_text(row)
    power = os.open(tmp_path / "power", os.O_RDWR)
    try:
        line = ["--hil-map", "devices.toml", "--detector", folders[0], "--detector", folders[1]]
        done = run(tmp_path, *line, test=MIXED)
    finally:
        os.close(power)
    assert (done.returncode, counts(done)) == (0, {"passed": 9}), done.stdout
    images = (tmp_path / "flashed").read_text().splitlines()
    assert [re.findall("desk-(quiet|loud)", image) for image in images] == [["quiet"], ["loud"]]


def test_figures_of_another_detector_are_not_compared(tmp_path: Path) -> None:
    """One of the same name, that has another Spec: a skipped test, so --hil-require fails."""
    small_detector(tmp_path / "fan")
    line = ["--pyargs", "cyberhans.hil.suite.test_costs", "--device", "board:native", "--detector", "fan"]
    assert run(tmp_path, *line, "--update-baseline").returncode == run(tmp_path, *line, "--hil-require").returncode == 0
    small_detector(tmp_path / "fan", small_spec(size="tiny"))
    done = run(tmp_path, *line, "-rs")
    assert counts(done) == {"skipped": 1} and "are of another detector: --update-baseline" in done.stdout
    assert run(tmp_path, *line, "--hil-require").returncode == 1
    assert run(tmp_path, *line, "--update-baseline").returncode == run(tmp_path, *line, "--hil-require").returncode == 0


def test_devices_run_side_by_side_each_on_a_worker_of_its_own(tmp_path: Path) -> None:
    """`-n 2`: the count is that of both workers together."""
    detector, image = small_image()
    (tmp_path / "devices.toml").write_text('[left]\nurl = "board:native"\n[right]\nurl = "board:native"\n')
    line = ["--hil-map", "devices.toml", "--detector", detector.folder, "--hil-image", image]
    done = run(tmp_path, *line, "-n", "2", "--hil-require", "--hil-count", 6)
    assert (done.returncode, counts(done)) == (0, {"passed": 7}), done.stdout
    workers = [set(re.findall(rf"\[(gw\d)\][^\n]*\[{device}-", done.stdout)) for device in ("left", "right")]
    assert [len(found) for found in workers] == [1, 1], done.stdout


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


@pytest.mark.parametrize("option", ["--hil-soak=-5", "--hil-soak=0", "--hil-windows=0", "--hil-count=x"])
def test_a_number_of_nothing_is_bad_usage(option: str, tmp_path: Path) -> None:
    done = run(tmp_path, option)
    assert done.returncode == 4 and "a whole number of 1 or more" in done.stderr


def test_a_device_that_is_not_there_is_one_line_a_test(folders: tuple[Path, Path], tmp_path: Path) -> None:
    done = run(tmp_path, "--device", "/dev/ttyNOPE0", "--detector", folders[0], "--hil-log-dir", "log")
    assert done.returncode == 1
    assert "/dev/ttyNOPE0: cannot be opened" in done.stdout and "Traceback" not in done.stdout
    assert "def open_device" not in done.stdout
    assert "cannot be opened" in (tmp_path / "log" / "report.html").read_text()


def test_a_run_without_a_device_says_so_at_its_end(tmp_path: Path) -> None:
    assert "2 tests of devices did not run: no device: give --device" in run(tmp_path).stdout
