"""The layers of DESIGN.md: imports run downward only, heavy packages stay in the rooms that own them, C likewise."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cyberhans.boards import boards as rows
from cyberhans.core import firmware_dir

PACKAGE = Path(__file__).resolve().parent.parent / "cyberhans"

# From the top; a room imports from lower layers, or from its own. A new room must be given a place here.
LAYERS = tuple(layer.split() for layer in (
    "cli hil printing",
    "search",
    "demo bench bench_summary beside states life soak",
    "contamination suspects train verify rebaseline replay evaluate capture lines",
    "flash blank build footprint stack machine_code libraries hex_file",
    "emit amalgamation model_source truth emit_whitening",
    "device delivery identity exchange judgement difference line player emulator ports probe",
    "simulate looks running vibration machines inspection quality live meter formats catalogue",
    "limit alarm_rule",
    "detector caution baseline alarm clock detector_source detectors threshold core watch dataset promise decision "
    "idle",
    "tables recording waveform sidecar wav messages packet_log protocol boards spec_file spec serial_port profile "
    "reason machine_file draft spool ranges wire",
    "errors __init__",
))  # fmt: skip
OWNERS = {"emlearn": {"emit"}, "sklearn": {"detectors"}, "pandas": {"evaluate"}}
LIGHT = ("blank", "build", "verify", "device", "boards", "protocol", "core", "detector")  # and all that they import
HEAVY = ("sklearn", "emlearn", "pandas", "scipy")

Imports = dict[str, set[str]]


def modules() -> dict[str, list[Path]]:
    """Each room with its files; a folder is one room."""
    rooms = {path.stem: [path] for path in PACKAGE.glob("*.py")}
    for folder in PACKAGE.iterdir():
        if (folder / "__init__.py").exists():
            rooms[folder.name] = sorted(folder.rglob("*.py"))
    return rooms


def imported(path: Path) -> Iterator[str]:
    """Dotted names that a file imports anywhere, in functions too, but not for type checkers alone."""
    for node in _running(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path.name}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            continue
        yield node
        yield from _running(node)


@pytest.fixture(scope="module")
def rooms() -> Imports:
    """Room → rooms that it imports."""
    return {room: {other.split(".")[1] for path in paths for other in imported(path) if other.startswith("cyberhans.")}
            - {room} for room, paths in modules().items()}  # fmt: skip


@pytest.fixture(scope="module")
def packages() -> Imports:
    """Room → foreign packages that it imports."""
    return {room: {name.split(".")[0] for path in paths for name in imported(path)} - {"cyberhans"}
            for room, paths in modules().items()}  # fmt: skip


def reachable(rooms: Imports, room: str) -> set[str]:
    found, todo = set(), [room]
    while todo:
        if (here := todo.pop()) not in found:
            found.add(here)
            todo += [there for there in rooms[here] if there in rooms]
    return found


def test_every_room_has_a_layer(rooms: Imports) -> None:
    known = {room for layer in LAYERS for room in layer}
    assert set(rooms) <= known, f"give {sorted(set(rooms) - known)} a place in LAYERS"
    assert known <= set(rooms), f"LAYERS names {sorted(known - set(rooms))}, which there are not"


def test_imports_run_downward_only(rooms: Imports) -> None:
    height = {room: number for number, layer in enumerate(LAYERS) for room in layer}
    upward = [f"{room} imports {other}" for room, others in rooms.items() for other in others
              if other in height and height[other] < height[room]]  # fmt: skip
    assert upward == []


def test_no_room_reaches_itself(rooms: Imports) -> None:
    cycles = [
        room for room, others in rooms.items() if any(room in reachable(rooms, other) for other in others & set(rooms))
    ]
    assert cycles == []


@pytest.mark.parametrize("package", OWNERS)
def test_a_heavy_package_has_one_owner(packages: Imports, package: str) -> None:
    assert {room for room, found in packages.items() if package in found} == OWNERS[package]


@pytest.mark.parametrize("room", LIGHT)
def test_the_rooms_of_the_bench_reach_no_heavy_package(rooms: Imports, packages: Imports, room: str) -> None:
    assert room in rooms
    heavy = {(other, package) for other in reachable(rooms, room) for package in packages[other] & set(HEAVY)}
    assert heavy == set()


def test_importing_them_loads_no_heavy_package() -> None:
    lines = [f"import cyberhans.{room}" for room in LIGHT]
    script = "\n".join([*lines, "import sys", f"print([name for name in {HEAVY} if name in sys.modules])"])
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    assert done.stdout.strip() == "[]"


def test_the_scan_sees_imports_in_functions_and_skips_those_for_types(tmp_path: Path) -> None:
    source = tmp_path / "room.py"
    source.write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import emlearn\n"
        "def verb():\n    if True:\n        from sklearn.svm import SVC\n    import pandas as pd\n"
    )
    assert set(imported(source)) == {"typing.TYPE_CHECKING", "sklearn.svm.SVC", "pandas"}


# --- the firmware: boards → app → core


def included(folder: Path) -> Iterator[tuple[str, str]]:
    """(file, header) of every #include in a folder."""
    for path in sorted([*folder.rglob("*.c"), *folder.rglob("*.h")]):
        for header in re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', path.read_text(), re.MULTILINE):
            yield path.name, header


def own(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*.h")}


FREESTANDING = {"stddef.h", "stdint.h", "limits.h", "string.h"}


def test_the_core_includes_nothing_of_app_or_boards() -> None:
    core = firmware_dir() / "core"
    found = set(included(core))
    assert len(found) > 10
    assert {pair for pair in found if pair[1] not in own(core) | FREESTANDING} == set()


def test_the_app_includes_the_core_and_its_port_but_no_board() -> None:
    """detector.h is generated, with the detector."""
    core, app = firmware_dir() / "core", firmware_dir() / "app"
    found = set(included(app))
    assert len(found) > 10
    assert {pair for pair in found if pair[1] not in own(core) | own(app) | FREESTANDING | {"detector.h"}} == set()


def test_a_board_knows_the_port_and_nothing_else_of_ours() -> None:
    firmware = firmware_dir()
    ours = own(firmware / "core") | own(firmware / "app") - {"port.h", "source.h"} | {"detector.h"}
    found = set(included(firmware / "boards"))
    assert {pair for pair in found if Path(pair[1]).name in ours} == set()
    assert any(Path(header).name == "port.h" for _, header in found)


def test_no_board_names_another() -> None:
    """Each may name what several share: bare, and the folders before the last in a row of boards.toml."""
    boards = firmware_dir() / "boards"
    shared = {"bare"} | {folder for row in rows() for folder in row.folders[:-1]}
    names = {folder.name for folder in boards.iterdir() if folder.is_dir()} - shared
    for name in names | shared:
        others = names - {name}
        crossed = [(file, header) for file, header in included(boards / name) if others & set(Path(header).parts)]
        assert crossed == [], name
