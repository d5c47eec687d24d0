"""Message: fixed fields and a tail, as bytes of the link and as a struct of C."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Annotated, Self, get_type_hints

from cyberhans.errors import CyberHansError

U8 = Annotated[int, "B"]
I16 = Annotated[int, "h"]
U16 = Annotated[int, "H"]
I32 = Annotated[int, "i"]
U32 = Annotated[int, "I"]
Text = Annotated[str, "16s"]
Digest = Annotated[bytes, "16s"]
C_TYPES = {"B": "uint8_t", "h": "int16_t", "H": "uint16_t", "i": "int32_t", "I": "uint32_t", "16s": "uint8_t"}


@dataclass(frozen=True)
class Message:
    """Fixed little-endian fields without padding; `tail` holds the bytes after them: items of a message that has
    some, else what a newer peer added (bodies grow only at the end)."""

    tail: bytes = field(default=b"", kw_only=True)

    def pack(self) -> bytes:
        form = form_of(type(self))
        values = (getattr(self, name) for name in form.names)
        return form.struct.pack(*(v.encode("ascii") if isinstance(v, str) else v for v in values)) + self.tail

    @classmethod
    def unpack(cls, body: bytes) -> Self:
        form, size = form_of(cls), form_of(cls).struct.size
        if len(body) < size:
            raise CyberHansError(f"{cls.__name__} has {len(body)} bytes, not {size}: update the older end of the link")
        values = form.struct.unpack_from(body)
        plain = (v.rstrip(b"\0").decode("ascii", "replace") if i in form.texts else v for i, v in enumerate(values))
        return cls(*plain, tail=body[size:])


class Form:
    """The fixed fields of a message in the order of the wire: names, struct codes, which of them are text."""

    def __init__(self, message: type[Message]) -> None:
        hints = get_type_hints(message, include_extras=True)
        self.names = [item.name for item in fields(message) if item.name != "tail"]
        self.codes = [str(hints[name].__metadata__[0]) for name in self.names]
        self.texts = {i for i, name in enumerate(self.names) if hints[name].__origin__ is str}
        self.struct = struct.Struct("<" + "".join(self.codes))


_FORMS: dict[type[Message], Form] = {}


def form_of(message: type[Message]) -> Form:
    """Made once."""
    if message not in _FORMS:
        _FORMS[message] = Form(message)
    return _FORMS[message]


def c_struct(message: type[Message]) -> Iterator[str]:
    """Lines of C, with a check of its size."""
    name, form = "message_" + message.__name__.lower(), form_of(message)
    yield f"struct {name} {{"
    for item, code in zip(form.names, form.codes, strict=True):
        yield f"    {C_TYPES[code]} {item}{'[16]' if code == '16s' else ''};"
    yield "};"
    yield f"typedef char {name}_size[sizeof(struct {name}) == {form.struct.size} ? 1 : -1];"
