"""The other compiler: images that the clang of the pip package ziglang builds, on every board."""

from __future__ import annotations

import shutil
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from counts import ENDURANCE
from small_detector import noise, small_detector, small_spec
from test_build import deepest_stack, image_sizes

from cyberhans import boards
from cyberhans.boards import board
from cyberhans.build import Build, build
from cyberhans.core import firmware_dir
from cyberhans.dataset import load_protocol
from cyberhans.detector import Detector
from cyberhans.device import open_device
from cyberhans.spec import design
from cyberhans.stack import MARGIN_BYTES
from cyberhans.train import train
from cyberhans.verify import adversarial_windows, verify

BARE = [row.name for row in boards.boards() if row.bare]
CORES = ("microbit", "netduinoplus2", "mps3-an547", "virt-rv32imac", "virt-rv32imafc")  # of each kind one
pytestmark = [pytest.mark.slow]
everywhere = pytest.mark.parametrize(
    ("name", "compiler"),
    [
        ("native", "zig"),
        *(pytest.param(name, "zig", marks=pytest.mark.emulator) for name in (BARE if ENDURANCE else CORES)),
    ],
)
bare = pytest.mark.parametrize(("name", "compiler"), [(name, "zig") for name in BARE])


SCRATCH = tempfile.TemporaryDirectory(prefix="cyberhans-test-")
FOLDER = Path(SCRATCH.name) / "detector"


@cache
def tiny_detector() -> Detector:
    """One that fits every board."""
    return small_detector(FOLDER, small_spec(size="tiny"))


@cache
def zig_image(name: str) -> Build:
    """Its image by zig; made once per run of the tests."""
    tiny_detector()
    return build(FOLDER, name, FOLDER.with_name(name), compiler="zig")


@everywhere
def test_hard_windows_give_the_same_bits(name: str, compiler: str) -> None:
    detector, made = tiny_detector(), zig_image(name)
    assert made.compiler == compiler
    windows = np.concatenate((adversarial_windows(detector.spec), noise(detector.spec, 20), detector.golden))
    with open_device(f"board:{name}", image=made.image) as device:
        for bulk in (False, True):
            outcome = verify(detector, windows, device, bulk=bulk)
            assert outcome.equal and outcome.windows == 34, outcome.to_dict()


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    """An autoencoder, whose score is made of float32 products and sums."""
    train_set = load_protocol(Path(__file__).resolve().parent.parent / "recordings" / "demo", "pump").train
    spec = design("small", train_set[0].rate_hz, train_set[0].channels, train_set[0].segment_len)
    made = train(train_set, kind="autoencoder", spec=spec, false_alarm_rate=0.02, seed=0, uncalibrated=True)
    return made.save(tmp_path_factory.mktemp("network"))


@pytest.mark.parametrize("compiler", ["zig"])
@pytest.mark.parametrize("name", ["native", *(pytest.param(name, marks=pytest.mark.emulator) for name in CORES)])
def test_a_network_of_floats_gives_the_same_bits(network: Detector, name: str, compiler: str, tmp_path: Path) -> None:
    assert network.folder
    made = build(network.folder, name, tmp_path, compiler=compiler)
    windows = np.concatenate((network.golden, adversarial_windows(network.spec)))
    with open_device(f"board:{name}", image=made.image) as device:
        outcome = verify(network, windows, device, bulk=True)
    assert outcome.equal and outcome.windows == len(windows), outcome.to_dict()


@pytest.mark.parametrize(("name", "compiler"), [("native", "zig"), ("microbit", "zig"), ("virt-rv32imafc", "zig")])
def test_images_are_the_same_wherever_they_are_built(name: str, compiler: str, tmp_path: Path) -> None:
    made = zig_image(name)
    elsewhere = Path(shutil.copytree(FOLDER, tmp_path / "another place"))
    moved = Path(shutil.copytree(firmware_dir(), tmp_path / "sources"))
    again = build(elsewhere, name, tmp_path / "b, with a comma", compiler=compiler, firmware=moved)
    content = made.image.read_bytes()
    assert content == again.image.read_bytes()
    assert str(tmp_path).encode() not in content and str(firmware_dir()).encode() not in content


@pytest.mark.emulator
@bare
def test_the_estimate_is_never_below_and_at_most_a_tenth_above(name: str, compiler: str) -> None:
    made = zig_image(name)
    assert made.estimated is not None and made.compiler == compiler
    assert made.flash_bytes <= made.estimated["flash_bytes"] <= 1.1 * made.flash_bytes
    assert made.ram_bytes <= made.estimated["ram_bytes"] <= 1.1 * made.ram_bytes
    assert image_sizes(made.image) == (made.flash_bytes, made.ram_bytes)
    assert sum(made.shares.values()) == made.flash_bytes and min(made.shares.values()) > 0
    assert made.ram_shares["work_memory"] > 3000 and made.ram_shares["core"] == 0


@pytest.mark.emulator
@bare
def test_the_stack_in_use_is_what_the_analysis_found(name: str, compiler: str, tmp_path: Path) -> None:
    made = zig_image(name)
    used = deepest_stack(made, tiny_detector().golden, tmp_path)
    assert made.stack_bytes is not None
    found = made.stack_bytes - MARGIN_BYTES
    least = 0.75 if name.startswith("virt") else 0.8  # a trap's large frame seldom comes at the deepest moment
    assert least * found <= used <= found, (used, found)


def test_nothing_of_the_gnu_toolchain_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what Python's packages bring is on the path."""
    small_detector(tmp_path / "detector")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert boards.toolchain_missing(board("microbit")) is not None
    assert build(tmp_path / "detector", "microbit", tmp_path / "out", compiler="zig").image.with_suffix(".hex").exists()
