"""The whole path on real recordings: train, build, run on each board, and demand 0 differing bits."""

from __future__ import annotations

import functools
import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest

from cyberhans import boards
from cyberhans.build import Build, build
from cyberhans.dataset import load_protocol
from cyberhans.detector import Detector, load_detector
from cyberhans.recording import Recording
from cyberhans.spec import design
from cyberhans.train import train
from cyberhans.verify import adversarial_windows, verify_on

BOARDS = ("native", "netduinoplus2", "microbit")
DETECTORS = ("gaussian", "autoencoder", "forest")
PROTOCOLS = ("engine_idle/car01", "adxl356_pooled", "ceiling_fan/low", "cwru_smoke")
ENDURANCE = bool(os.environ.get("CYBERHANS_ENDURANCE"))
BULK_WINDOWS = 1000 if ENDURANCE else 12  # of each recording, by semihosting
pytestmark = [pytest.mark.recordings, pytest.mark.slow]
