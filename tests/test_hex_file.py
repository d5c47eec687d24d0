"""Intel HEX, read back by its rules; a whole image's is in test_build.py."""

from __future__ import annotations

from cyberhans.hex_file import _records


def test_an_address_beyond_64_kib_has_its_upper_half_before_it() -> None:
    content = bytes(range(40))
    lines = list(_records([(0x0800_FFF8, content), (0x2000_0000, b"\xaa")]))
    assert lines[0] == ":020000040800F2\n"
    assert lines[1].startswith(":08FFF80000") and lines[2] == ":020000040801F1\n"
    assert lines[3].startswith(":1000000008") and lines[4].startswith(":1000100018")
    assert lines[5:] == [":020000042000DA\n", ":01000000AA55\n"]
    assert all(sum(bytes.fromhex(line[1:])) % 256 == 0 for line in lines)
    stored = b"".join(bytes.fromhex(line[9:-3]) for line in lines[1:5] if line[7:9] == "00")
    assert stored == content
