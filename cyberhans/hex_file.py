"""An ELF image as Intel HEX, which the boards' own tools read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from elftools.elf.elffile import ELFFile

DATA, END, UPPER_HALF = 0, 1, 4  # record types of Intel's "Hexadecimal Object File Format Specification", 1988
ROW = 16


def intel_hex(image: Path) -> str:
    """What the image stores, at the addresses where it is stored (those of its load segments)."""
    with open(image, "rb") as file:
        segments = [(row["p_paddr"], row.data()) for row in ELFFile(file).iter_segments("PT_LOAD") if row["p_filesz"]]
    return "".join([*_records(sorted(segments)), _record(END, 0, b"")])


def _records(segments: list[tuple[int, bytes]]) -> Iterator[str]:
    upper = -1
    for start, content in segments:
        place = 0
        while place < len(content):
            address = start + place
            if address >> 16 != upper:
                upper = address >> 16
                yield _record(UPPER_HALF, 0, upper.to_bytes(2, "big"))
            row = content[place : place + min(ROW, 0x10000 - (address & 0xFFFF))]
            yield _record(DATA, address & 0xFFFF, row)
            place += len(row)


def _record(kind: int, address: int, content: bytes) -> str:
    """The last byte makes the sum 0 modulo 256."""
    body = bytes([len(content), *address.to_bytes(2, "big"), kind, *content])
    return f":{(body + bytes([-sum(body) % 256])).hex().upper()}\n"
