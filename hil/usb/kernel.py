"""Debian's kernel, downloaded and unpacked but not installed, and those of its modules that a USB cable takes."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile

from cyberhans.core import cache_dir
from cyberhans.errors import CyberHansError

PACKAGE = "linux-image-amd64"  # depends on the newest linux-image-VERSION-amd64
WANTED = ("virtio_pci", "9pnet_virtio", "9p", "dummy_hcd", "usb_f_acm", "cdc_acm")
TOOLS = {"qemu-system-x86_64": "qemu-system-x86", "busybox": "busybox-static", "apt-get": "apt", "dpkg-deb": "dpkg"}


@dataclass(frozen=True)
class Kernel:
    """image: what QEMU boots. modules: files in the order in which they are to be loaded."""

    image: Path
    modules: tuple[Path, ...]


def missing() -> str | None:
    """What this computer lacks to run Debian's kernel; None if nothing."""
    if platform.machine() != "x86_64":
        return f"the guest runs this computer's programs on a kernel for x86_64, and this is {platform.machine()}"
    lacking = [package for tool, package in TOOLS.items() if not shutil.which(tool)]
    return f"not installed: {' '.join(lacking)}: sudo apt install {' '.join(lacking)}" if lacking else None


def kernel() -> Kernel:
    """From the cache; downloaded where it is not there. Raises CyberHansError where apt-get does not give it."""
    try:
        folder = _unpacked()
    except CyberHansError:
        if os.getuid() != 0:
            raise
        _run("apt-get", "update", "-qq")  # its lists are not there yet, or old
        folder = _unpacked()
    modules = _by_name(folder.glob("*.ko"))
    return Kernel(folder / "vmlinuz", tuple(modules[name] for name in _load_order(modules)))


def _unpacked() -> Path:
    """The folder with the newest kernel."""
    found = re.search(r"Depends: (linux-image-\S+)", _run("apt-cache", "depends", PACKAGE))
    if not found:
        raise CyberHansError(f"apt knows no {PACKAGE}: only Debian's kernel is known here")
    folder = cache_dir() / found[1]
    if not folder.is_dir():
        with tempfile.TemporaryDirectory(prefix=".kernel-", dir=folder.parent) as scratch:
            _unpack(found[1], Path(scratch))
            (Path(scratch) / "kernel").replace(folder)
    return folder


def _unpack(package: str, scratch: Path) -> None:
    """scratch/kernel: the image, and the modules that WANTED need."""
    _run("apt-get", "download", package, cwd=scratch)
    _run("dpkg-deb", "-x", str(next(scratch.glob("*.deb"))), "unpacked", cwd=scratch)
    out = scratch / "kernel"
    out.mkdir()
    next(scratch.glob("unpacked/boot/vmlinuz-*")).rename(out / "vmlinuz")
    modules = _by_name(scratch.glob("unpacked/lib/modules/**/*.ko"))
    for name in _load_order(modules):
        modules[name].rename(out / modules[name].name)


def _by_name(files: Iterable[Path]) -> dict[str, Path]:
    return {path.stem.replace("-", "_"): path for path in files}


def _load_order(modules: dict[str, Path]) -> list[str]:
    """WANTED and what they depend on, each after what it needs; `modules` has none that is built into the kernel."""
    order: list[str] = []

    def visit(name: str) -> None:
        if name in order or name not in modules:
            return
        for needed in _depends(modules[name]):
            visit(needed)
        order.append(name)

    for name in WANTED:
        visit(name)
    return order


def _depends(module: Path) -> list[str]:
    with open(module, "rb") as file:
        section = ELFFile(file).get_section_by_name(".modinfo")
        facts = dict(fact.partition(b"=")[::2] for fact in section.data().split(b"\0"))
    return [name.replace("-", "_") for name in facts[b"depends"].decode().split(",") if name]


def _run(*command: str, cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise CyberHansError(f"{' '.join(command)}: {said}; try: sudo apt-get update")
    return done.stdout
