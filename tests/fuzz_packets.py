"""Atheris on cyberhans.protocol: every stream read three ways and in portions (packet_reading.py).

    PACKETS_FOLDER=... python fuzz_packets.py LIBFUZZER_ARGUMENTS

$PACKETS_FOLDER takes the C decoder's library and `counts`: five uint64, as c/fuzz_packet.c names them. $PACKETS_C is
the decoder, packet.c unless told. Not arguments: libFuzzer starts itself again with its own to merge a corpus. A
program of its own, since Atheris ends the process, without a word to Python: so the counts are kept in a mapped file.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["cyberhans.protocol", "packet_reading"]):
    import packet_reading

import packet_mutator


class Counts:
    """Inputs; those with a sound frame; those with nothing else; sound frames; broken ones."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(40))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 40)
        self._counts = [0] * 5

    def add(self, answers: packet_reading.Answers) -> None:
        broken = answers.count(None)
        found = len(answers) - broken
        added = (1, found > 0, found > 0 and broken == 0, found, broken)
        self._counts = [count + more for count, more in zip(self._counts, added, strict=True)]
        struct.pack_into("=5Q", self._map, 0, *self._counts)


def main() -> None:
    folder = Path(os.environ["PACKETS_FOLDER"])
    packet_c = Path(os.environ.get("PACKETS_C", packet_reading.CORE / "packet.c"))
    decoder, counts = packet_reading.CDecoder(folder, packet_c), Counts(folder / "counts")

    def one(wire: bytes) -> None:
        counts.add(packet_reading.compare(wire, decoder))

    def mutator(wire: bytes, max_size: int, seed: int) -> bytes:
        return packet_mutator.mutate(wire, max_size, seed, atheris.Mutate)

    atheris.Setup([f"{sys.executable} {sys.argv[0]}", *sys.argv[1:]], one, custom_mutator=mutator)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
