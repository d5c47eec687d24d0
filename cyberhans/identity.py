"""Whether what a device says of itself in INFO can be, and fits a detector."""

from __future__ import annotations

from cyberhans.detector import Detector
from cyberhans.errors import CyberHansError
from cyberhans.messages import Info
from cyberhans.spec import ARITHMETIC_VERSION
from cyberhans.tables import INTERFACE_VERSION

SHAPE = ("channels", "features", "window", "hop", "rate_mhz")  # INFO has these fields of a Spec
SMALLEST_BODY = 256  # body_max of SPEC.md section 10.1


def require_detector(name: str, info: Info, detector: Detector) -> None:
    """Raise CyberHansError, naming what differs, unless the device `name` holds exactly this detector."""
    spec = detector.spec
    pairs: tuple[tuple[str, int | bytes, int | bytes], ...] = (
        ("arithmetic", info.arithmetic, ARITHMETIC_VERSION),
        ("interface", info.interface, INTERFACE_VERSION),
        ("spec digest", info.spec, spec.digest),
        ("model digest", info.model, detector.model.digest),
        ("detector digest", info.detector, detector.digest),
        *((name, getattr(info, name), getattr(spec, name)) for name in SHAPE),
        ("flags", info.flags, detector.flags),
    )
    for what, found, expected in pairs:
        if found != expected:
            raise CyberHansError(f"{name} holds another detector: {what} {short(found)} differs from "
                                 f"{short(expected)}; build and flash this detector again")  # fmt: skip
    if info.status != 0:
        raise CyberHansError(f"{name}: its core refuses the detector (error {info.status}); build again")


def impossible(info: Info) -> str | None:
    """What no device can say of itself, in a few words."""
    smallest = max(SMALLEST_BODY, 4 + 2 * info.channels)  # one sample frame
    if info.body_max < smallest:
        return f"body_max {info.body_max}, less than {smallest}"
    if info.hop < info.window:
        return f"hop {info.hop} below window {info.window}"
    counts = ("credits",) if info.status else ("channels", "features", "window", "credits")
    return next((f"{name} 0" for name in counts if not getattr(info, name)), None)


def short(value: int | bytes) -> str:
    """For a message: a digest's first eight digits."""
    return f"{value.hex()[:8]}.." if isinstance(value, bytes) else str(value)
