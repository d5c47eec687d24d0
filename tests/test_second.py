"""A second implementation: tests/second.pl, in another language and written from SPEC.md alone, gives the same bits."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import inputs
import numpy as np
import pytest
from counts import full

from conftest import ROOT, needs
from cyberhans.core import Core
from cyberhans.spec import FRAME_LENGTHS, Family, Spec

WINDOWS = full(200, 1_000)


def second(spec: Spec, windows: inputs.Samples, scratch: Path) -> np.ndarray:
    """Features of windows (k, n, channels) as the Perl script computes them, (k, features)."""
    path = scratch / "spec.json"
    path.write_text(json.dumps(spec.to_dict()))
    samples = windows.astype("<i2").tobytes()
    done = subprocess.run(["perl", str(ROOT / "tests" / "second.pl"), str(path)], input=samples, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    return np.array([row.split() for row in done.stdout.decode().splitlines()], np.int32)


@pytest.mark.slow
def test_its_features_are_the_same(tmp_path: Path) -> None:
    """Every frame length, alone and beside another; every family; one to six channels; random and extreme samples."""
    needs("perl")
    specs = inputs.specs()
    each = -(-WINDOWS // len(specs))
    compared = 0
    for seed, spec in enumerate(specs):
        windows = inputs.random_windows(each, spec.window, spec.channels, seed=500 + seed)
        found = second(spec, windows, tmp_path)
        assert np.array_equal(found, Core(spec).features(windows)), spec
        compared += len(found)
    assert compared >= WINDOWS
    assert {frame.length for spec in specs for frame in spec.frames} == set(FRAME_LENGTHS)
    assert {family for spec in specs for family in spec.families} == set(Family)
