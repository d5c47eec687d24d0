"""The alarm logic of the C core against the oracle, over sequences in which every state and every bound is visited."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import alarm_oracle
import inputs
import numpy as np
import pytest
import stream as stream_room
from alarm_oracle import Machine, Window
from counts import full
from stream import build_stream

from cyberhans import core as core_room
from cyberhans.alarm import NEVER_IDLE, Alarm
from cyberhans.core import firmware_dir
from cyberhans.spec import Family, Frame, Spec

DIGEST = bytes(range(16))
SANITIZED = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
SPECS = {
    "one": inputs.spec_for((64,), 1, Family.LEVEL, "log", 64, 64),
    "three": inputs.spec_for((64, 128), 3, Family(15), "log", 128, 128),
    "small": Spec(8_000_000, 3, 64, 64, Family.LEVEL, (Frame(64, (1, 4, 12, 32)),)),
    "no level": inputs.spec_for((64,), 2, Family.SPREAD, "log", 64, 64),
    "six": inputs.spec_for((64, 2048), 6, Family.LEVEL | Family.DIFFERENCES, "log", 2048, 2048),
}
LEVEL_STATES = {alarm_oracle.IDLE, alarm_oracle.FAULT}
LEVEL_REASONS = {alarm_oracle.STUCK, alarm_oracle.CLIPPED, alarm_oracle.OFF}
WINDOWS = full(1_500, 20_000)


def toy_score(features: Sequence[int]) -> int:
    """The model of tests/c/alarm.c."""
    return sum(v * (i % 3 + 1) for i, v in enumerate(features))


def small_numbers(rng: random.Random, spec: Spec) -> Alarm:
    """Settings with which random windows meet every state often."""
    of = rng.choice([1, 2, 7, 31, 32, rng.randrange(1, 33)])
    raise_at = rng.randrange(1, of + 1)
    level, f = Family.LEVEL in spec.families, spec.features
    return Alarm(
        of=of, raise_at=raise_at, clear_at=rng.randrange(raise_at), fast=rng.randrange(4), 
        slow=rng.choice([0, 1, 3, 14]),
        change=rng.choice([0, 26, 200, 200, 65535, rng.randrange(300)]), rise=rng.choice([0, 20, 384, 65535]),
        idle=rng.choice([NEVER_IDLE, 0, 1500]) if level else NEVER_IDLE,
        full_scale=rng.choice([0, 1, 32767, 65535]) if level else 0, reach=rng.choice([0, 200, 400, 65535]),
        clipped=rng.choice([0, 10, 2**32 - 1]), moved=rng.choice([0, 80, 2**20]) if spec.channels >= 3 else 0,
        gravity=(rng.randrange(-300, 300), rng.choice([0, 16384]), rng.randrange(-300, 300)),
        centre=np.full(f, 2000, np.int16), limit=np.array([rng.choice([0, 38, 150]) for _ in range(f)], np.int16),
    )  # fmt: skip


def any_numbers(rng: random.Random, spec: Spec) -> Alarm:
    """The same, with features' centres and limits, and gravity, anywhere in their types."""
    base = small_numbers(rng, spec)

    def any_of(least: int) -> np.ndarray:
        return np.array(
            [rng.choice([least, 32767, rng.randrange(least, 32768)]) for _ in range(spec.features)], np.int16
        )

    gravity = tuple(rng.choice([-32768, 32767, 0, rng.randrange(-32768, 32768)]) for _ in range(3))
    return Alarm(**base.to_dict() | {"gravity": gravity}, centre=any_of(-32768), limit=any_of(0))


def walking(rng: random.Random, spec: Spec, alarm: Alarm) -> Callable[[], Window]:
    """Windows of a machine whose loudness wanders, that stops, whose sensor is touched, sticks and clips."""
    walk = {"loud": 0.0, "calls": 0}
    mood = {"kind": "runs", "left": 0}

    def window() -> Window:
        if mood["left"] == 0:
            mood["kind"] = rng.choices(
                ["runs", "off", "moved", "stuck", "clips", "loud", "even"], [8, 1, 1, 1, 1, 3, 1]
            )[0]
            mood["left"] = rng.randrange(1, 2 * alarm.of + 4)
        mood["left"] -= 1
        walk["loud"] += rng.uniform(-12, 12) - walk["loud"] / 100
        kind = mood["kind"]
        level = -1000 if kind == "off" else 2000 + walk["loud"] + (400 if kind == "loud" else 0)
        features = [2200 if kind == "even" else int(level + rng.gauss(0, 25)) for _ in range(spec.features)]
        tilt = 600 if kind == "moved" else 0
        axes = zip(
            [alarm.gravity[0] + tilt, alarm.gravity[1] - tilt, alarm.gravity[2]], range(spec.channels), strict=False
        )
        mean = [inputs_mean + rng.randrange(-2, 3) for inputs_mean, _ in axes] + [7] * max(0, spec.channels - 3)
        extremes = [(-5, -5 if kind == "stuck" else 9)] * spec.channels
        return Window(features, mean, extremes, 50 if kind == "clips" else rng.choice([0, 0, 10]))

    return window


def anything(rng: random.Random, spec: Spec, alarm: Alarm) -> Callable[[], Window]:
    """Windows at the bounds of their types."""

    def any_int16() -> int:
        return rng.choice([-32768, 32767, -32768, 32767, 0, rng.randrange(-32768, 32768)])

    def window() -> Window:
        same = [any_int16()] * spec.features
        features = same if rng.random() < 0.5 else [any_int16() for _ in range(spec.features)]
        extremes = [(-32768, rng.choice([32767, 32767, 32767, -32768])) for _ in range(spec.channels)]
        return Window(features, [any_int16() for _ in range(spec.channels)], extremes, rng.choice([0, 0, 2**20 * 6]))

    return window


def sequence(rng: random.Random, machine: Machine, give: Callable[[], Window], count: int) -> tuple[bytes, list[str]]:
    """Commands for tests/c/alarm.c, and the lines that SPEC.md wants."""
    commands, wanted = [], []

    def told(status: int) -> str:
        m = machine
        return f"= {status} {m.revision} {m.gathered} {m.wanted} {m.found} {m.outcome} {int(m.alarmed != 0)}"

    for _ in range(count):
        window = give()
        commands.append(b"w" + packed(window))
        wanted.append(" ".join(map(str, machine.window(window))))
        if rng.random() < 0.9:
            continue
        kind, argument = rng.choice("rrrruzsx"), 0
        if kind == "r":
            argument = rng.choice([0, 1, 2, 2, 3, 20, 4097])
            if 2 <= argument <= 4096:
                machine.rebaseline(argument)
            wanted.append(told(0 if 2 <= argument <= 4096 else -1))
        elif kind == "u":
            wanted.append(told(0 if machine.undo() else -7))
        elif kind == "z":
            argument = rng.choice([0, 1, 1, 2, 2, 3])
            if argument < 3:
                machine.reset(argument)
            wanted.append(told(0 if argument < 3 else -1))
        elif kind == "x":
            argument = rng.randrange(2)
            machine.aside = False
            wanted.append(told(0))
        else:
            wanted.append(machine.memory().hex())
        commands.append(kind.encode() + struct.pack("<H", argument))
    return b"".join(commands), wanted


def packed(w: Window) -> bytes:
    extremes = [value for pair in w.extremes for value in pair]
    f, c = len(w.features), len(w.mean)
    return struct.pack(f"<{f}h{c}h{2 * c}iI", *w.features, *w.mean, *extremes, w.clipped)


def run(program: Path, machine: Machine, commands: bytes) -> list[str]:
    settings = machine.alarm.pack() + struct.pack("<iH", machine.threshold, machine.uncalibrated) + machine.digest
    done = subprocess.run([program], input=settings + commands, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    status, *lines = done.stdout.decode().splitlines()
    assert status == "0"
    return lines


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The core with tests/c/alarm.c, under the sanitizers."""
    return {name: build_stream(spec, tmp_path_factory.mktemp("alarm"), *SANITIZED, driver="alarm.c")
            for name, spec in SPECS.items()}  # fmt: skip


def machine_of(spec: Spec, alarm: Alarm, number: int) -> Machine:
    typical = toy_score([2100] * spec.features)
    return Machine(spec, alarm, typical, toy_score, DIGEST, uncalibrated=number % 6 == 0)


@pytest.mark.parametrize("name", SPECS)
def test_core_and_oracle_agree_in_every_state(programs: dict[str, Path], name: str) -> None:
    """To the bit, with re-baselining, undo, resets and restarts in between; no sanitizer complains."""
    rng, spec = random.Random(name), SPECS[name]
    states: Counter[int] = Counter()
    reasons: Counter[int] = Counter()
    outcomes: Counter[int] = Counter()
    for number in range(12):
        machine = machine_of(spec, small_numbers(rng, spec), number)
        commands, wanted = sequence(rng, machine, walking(rng, spec, machine.alarm), WINDOWS // 12)
        assert run(programs[name], machine, commands) == wanted
        lines = [line.split() for line in wanted]
        windows = [line for line in lines if len(line) == 7]
        states.update(int(line[2]) for line in windows)
        outcomes.update(int(line[6]) for line in lines if line[0] == "=")
        reasons.update(1 << bit for line in windows for bit in range(8) if int(line[4]) >> bit & 1)
    moves, level = spec.channels >= 3, Family.LEVEL in spec.families
    no_states = ({alarm_oracle.MOVED} if not moves else set()) | (set() if level else LEVEL_STATES)
    no_reasons = ({alarm_oracle.TILTED} if not moves else set()) | (set() if level else LEVEL_REASONS)
    assert set(range(7)) - set(states) == no_states
    assert {1 << bit for bit in range(8)} - set(reasons) == no_reasons
    assert set(outcomes) == set(range(6))


@pytest.mark.parametrize("name", SPECS)
def test_no_feature_leaves_the_arithmetic(programs: dict[str, Path], name: str) -> None:
    """Features, centres, limits, means at the bounds of their types: the same bits, and no overflow."""
    rng, spec = random.Random(name), SPECS[name]
    for number in range(8):
        machine = machine_of(spec, any_numbers(rng, spec), number)
        commands, wanted = sequence(rng, machine, anything(rng, spec, machine.alarm), WINDOWS // 24)
        assert run(programs[name], machine, commands) == wanted


MUTANTS = [
    ("alarm.c", "(v + 128) >> 8", "(v + 127) >> 8"),
    ("alarm.c", "(hans_offset(hans, i) + 128) >> 8", "(hans_offset(hans, i) + 127) >> 8"),
    ("alarm.c", "hans->clipped > hans", "hans->clipped >= hans"),
    ("alarm.c", ">= hans->model->alarm->idle", "> hans->model->alarm->idle"),
    ("alarm.c", "(now - memory->dc[axis]) >> 2", "(now - memory->dc[axis]) >> 1"),
    ("alarm.c", "dot < 0 || ", ""),
    ("alarm.c", "cross > (aa * bb", "cross >= (aa * bb"),
    ("alarm.c", "offset < memory->quietest", "offset > memory->quietest"),
    ("alarm.c", "UINT32_MAX >> (32 - of)", "UINT32_MAX >> (31 - of) >> 1 << 1"),
    ("alarm.c", "verdict->rise > (int32_t)alarm->rise", "verdict->rise >= (int32_t)alarm->rise"),
    ("alarm.c", "verdict->change >= (int32_t)alarm->change", "verdict->change > (int32_t)alarm->change"),
    ("alarm.c", "votes <= alarm->clear && rises", "votes < alarm->clear && rises"),
    ("alarm.c", "if (rises >= alarm->raise)", "if (rises > alarm->raise)"),
    (
        "alarm.c",
        "suspicion |= 2 * count_bits(memory->rises) >= raise",
        "suspicion |= 2 * count_bits(memory->rises) > raise",
    ),
    ("alarm.c", "(normal ? 0 : 3)", "(normal ? 0 : 2)"),
    ("alarm.c", "step < -limit ? -limit", "step < -limit ? -limit + 1"),
    ("alarm.c", "(int32_t)8 << 16", "(int32_t)7 << 16"),
    ("alarm.c", "if (off) {", "if (off & 0) {"),
    ("baseline.c", "hans->aside ? 0 : ", ""),
    ("baseline.c", "memory->change > hans", "memory->change >= hans"),
    ("baseline.c", "memcpy(hans->before, hans->baseline, size);", "memcpy(hans->before, hans->baseline, size / 2);"),
    ("baseline.c", "swap(memory->gravity, memory->gravity_before, 3);", ""),
    ("baseline.c", "memory->settled = 0;", ""),
    ("memory.c", "hans->aside = 0;", ""),
    ("moments.c", "sum + count / 2)", "sum + (count - 1) / 2)"),
]


@pytest.fixture(scope="module")
def plays() -> list[tuple[Machine, bytes, list[str]]]:
    """Machines of three channels with commands and what SPEC.md wants, in turn at and within the bounds."""
    found, spec = [], SPECS["small"]
    for number in range(60):
        rng = random.Random(number)
        machine = machine_of(spec, (any_numbers if number % 3 == 0 else small_numbers)(rng, spec), number)
        give = (anything if number % 3 == 0 else walking)(rng, spec, machine.alarm)
        found.append((machine, *sequence(rng, machine, give, 250)))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("name", "old", "new"), [("alarm.c", "int16_t", "int16_t"), *MUTANTS])
def test_a_changed_core_is_noticed(
    plays: list[tuple[Machine, bytes, list[str]]], name: str, old: str, new: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    shutil.copytree(firmware_dir() / "core", tmp_path / "core")
    path = tmp_path / "core" / name
    text = path.read_text()
    assert old == new or text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {name}: mend the mutant"
    path.write_text(text.replace(old, new))
    for room in (core_room, stream_room):
        monkeypatch.setattr(room, "firmware_dir", lambda: tmp_path)
    program = build_stream(SPECS["small"], tmp_path, driver="alarm.c")
    assert all(run(program, machine, commands) == wanted for machine, commands, wanted in plays) == (old == new)
