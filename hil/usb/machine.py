"""A guest in QEMU that reads this computer's files, with both ends of a USB cable in it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from cyberhans.errors import CyberHansError
from hil.usb.kernel import Kernel

INIT = Path(__file__).with_name("init")
MEGABYTES = 768


def run(kernel: Kernel, out: Path, program: str, seconds: float) -> tuple[int, str]:
    """Run a shell program in the guest, which may write in the folder `out` alone: (exit code, what the console shows).

    Raises CyberHansError if the guest does not tell one within `seconds`.
    """
    out = out.resolve()
    initrd = out / "initrd"
    _pack(kernel, initrd, out)
    (out / "program").write_text(program)
    command = [
        "timeout", "--signal=KILL", f"{seconds:g}",  # it holds even if this program is killed
        "qemu-system-x86_64", "-M", "pc", "-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", str(MEGABYTES),
        "-nographic", "-no-reboot", "-nic", "none", "-monitor", "none",
        "-kernel", str(kernel.image), "-initrd", str(initrd),
        "-append", "console=ttyS0 quiet panic=-1",
        "-virtfs", "local,path=/,mount_tag=root,security_model=none,readonly=on,multidevs=remap",
        "-virtfs", f"local,path={out},mount_tag=out,security_model=none,multidevs=remap",
    ]  # fmt: skip
    shown = out / "guest.log"  # as it comes, so that what goes on can be watched
    with shown.open("wb") as file:
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, check=False)
    console = shown.read_text(errors="replace").replace("\r", "")
    code = re.search(r"^guest exit code (\d+)$", console, re.MULTILINE)
    if not code:
        said = " ".join(console.split())[-300:]
        raise CyberHansError(f"the guest told no exit code within {seconds:g} s; its last words: {said}")
    return int(code[1]), console


def _pack(kernel: Kernel, initrd: Path, out: Path) -> None:
    """The guest's first file system: init, what it needs, and the name of the folder that it may write in."""
    tree = initrd.with_suffix(".tree")
    for folder in ("bin", "dev", "proc", "sys", "host", "modules"):
        (tree / folder).mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "", tree / "bin/busybox")
    shutil.copy(INIT, tree / "init")
    (tree / "init").chmod(0o755)
    (tree / "writable").write_text(str(out))
    for module in kernel.modules:
        shutil.copy(module, tree / "modules")
    (tree / "modules/order").write_text("\n".join(module.name for module in kernel.modules) + "\n")
    names = "\n".join(str(path.relative_to(tree)) for path in [tree, *sorted(tree.rglob("*"))])
    with open(initrd, "wb") as file:
        subprocess.run(["busybox", "cpio", "-o", "-H", "newc"], cwd=tree, input=names.encode(), stdout=file,
                       stderr=subprocess.DEVNULL, check=True)  # fmt: skip
    shutil.rmtree(tree)
