"""The messages of the link (SPEC.md section 10): their schema stands here once. The firmware's messages.h is generated
from it: `python -m cyberhans.messages > firmware/app/messages.h`."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from cyberhans.wire import I16, I32, U8, U16, U32, Digest, Message, Text, c_struct

PROTOCOL_VERSION = 2
REPLY = 0x80  # type of a reply = type of its request | REPLY
NAK = 0x80  # type of a refusal
UNDO, STOP = 0, 1  # of REBASELINE: set the baseline back to the one before; stop a re-baselining under way
DUMP_BYTES = 128  # bytes of an item in one TRACED reply


class Request(enum.IntEnum):
    """Types below 0x20, but never 0x0A or 0x0D: so no packet begins like text, such as `?` and a line end."""

    INFO = 0x01
    START = 0x02
    SAMPLES = 0x03
    TRACE = 0x04
    TRACED = 0x05
    FILE = 0x06
    RUN = 0x07
    SENSOR = 0x08
    CAPTURE = 0x09
    CREDIT = 0x0B
    VERDICTS = 0x0C
    REBASELINE = 0x0E
    BASELINE = 0x0F
    MEMORY = 0x10


class Event(enum.IntEnum):
    """Types from 0xC0: sent without a request."""

    VERDICT = 0xC0
    FEATURES = 0xC1
    COSTS = 0xC2
    DATA = 0xC3


class Refusal(enum.IntEnum):
    """Codes of a NAK."""

    UNKNOWN = 1  # no such request
    LENGTH = 2  # body too short, or no whole sample frames
    MODE = 3  # needs START first
    INDEX = 4  # not the expected sample index, which `detail` tells
    FILE = 5  # no host files on this board, no such file, or reading it failed
    CORE = 6  # the core returned an error, which `detail` tells
    RATE = 7  # the sensor has no such rate, or the line does not carry it; `detail`: the nearest, 1/1000 Hz
    CHANNELS = 8  # the sensor has not so many channels; `detail`: how many it has
    BASELINE = 9  # no new baseline: the core's reason is `detail`


class Mode(enum.IntEnum):
    RUN = 0
    HOST = 1
    CAPTURE = 2


class Storage(enum.IntEnum):
    """What the device could do for its state at power-on, and since then."""

    NONE = 0  # the port has no storage
    EMPTY = 1  # nothing was stored: it began as built
    RESUMED = 2  # it goes on from what was stored
    REFUSED = 3  # what was stored cannot be read, is damaged or another detector's: it began as built
    FAILED = 4  # the last time it could not be written


class Option(enum.IntFlag):
    """What START asks for beside verdicts."""

    FEATURES = 1
    COSTS = 2


@dataclass(frozen=True)
class Info(Message):
    """Reply to INFO."""

    protocol: U16
    arithmetic: U16  # HANS_ARITHMETIC
    interface: U16  # HANS_INTERFACE
    body_max: U16  # bytes of the longest body, either way
    credits: U16  # SAMPLES packets that may wait for their reply
    features: U16  # per window
    status: I16  # of the core's start: 0, or its error
    flags: U16  # the model's: bit 0 uncalibrated
    channels: U8
    mode: U8  # Mode
    state: U8  # State of run mode: after its last window
    storage: U8  # Storage
    spec: Digest
    model: Digest
    detector: Digest
    firmware: Text  # version
    board: Text
    serial: Text
    revision: U32  # of run mode's baseline: how often it was set or set back; 0 = as built
    rate_mhz: U32  # sample frames per second, 1/1000 Hz
    window: U32  # sample frames
    hop: U32  # sample frames
    tick_hz: U32  # unit of COSTS
    lost: U32  # overruns of the receiver since power-on
    broken: U32  # damaged packets dropped since power-on


@dataclass(frozen=True)
class Start(Message):
    """START: stop the source, forget the stream, expect sample index window * hop."""

    options: U32  # Option
    window: U32 = 0  # number of the first window


@dataclass(frozen=True)
class Taken(Message):
    """Reply to START and SAMPLES, after every event that they caused."""

    next: U32  # expected sample index
    lost: U32  # overruns of the receiver since power-on
    credits: U16
    reserved: U16


@dataclass(frozen=True)
class Samples(Message):
    """SAMPLES; tail: whole sample frames of int16."""

    index: U32  # of the first sample frame, modulo 2^32: that of window 0 is 0


@dataclass(frozen=True)
class Trace(Message):
    """TRACE: what is to be watched in the first window of the streams to come."""

    call: U32  # item of the stage
    offset: U16  # byte of that item
    stage: U8
    reserved: U8


@dataclass(frozen=True)
class Traced(Message):
    """Reply to TRACED; tail: up to DUMP_BYTES from the position that TRACE named."""

    samples: U32  # CRC-32 over all items of the stage, in order
    spectrum: U32
    bands: U32
    features: U32
    score: U32
    verdict: U32
    alarm: U32
    before: U32  # CRC-32 over what the named stage gave before the position that TRACE named
    done: U32  # 1: a whole window was watched
    call: U32  # the position, as TRACE named it
    offset: U16
    stage: U8
    reserved: U8
    window: U32  # number of the window that was watched


@dataclass(frozen=True)
class Replayed(Message):
    """Reply to FILE, after every event that it caused."""

    frames: U32  # sample frames taken
    windows: U32  # verdicts given


@dataclass(frozen=True)
class Sensor(Message):
    """Reply to SENSOR: what CAPTURE may ask for, and what its samples mean."""

    rate_mhz: U32  # sample frames per second it has unless asked otherwise, 1/1000 Hz
    least_mhz: U32
    most_mhz: U32  # of the sensor; the line may carry less
    scale_numerator: U32  # unit per LSB = numerator / denominator
    scale_denominator: U32
    baud: U32  # of the line, 10 bits a byte; 0: the line sets no limit
    buffer: U32  # bytes of samples that it holds back for a slow host
    full_scale: U16  # LSB: magnitude at which the sensor saturates
    channels: U8
    reserved: U8
    unit: Text
    sensor: Text


@dataclass(frozen=True)
class Capture(Message):
    """CAPTURE: stop the stream, and sample. A second one with the same `stream` changes nothing."""

    stream: U32  # drawn at random by the host; each DATA carries it
    rate_mhz: U32
    frames: U32  # sample frames to take; 0: until the next RUN, START or CAPTURE
    until: U32  # first credit, see CREDIT
    channels: U8
    reserved: U8
    reserved_2: U16


@dataclass(frozen=True)
class Credit(Message):
    """CREDIT: DATA may carry sample frames with an index below `until` (modulo 2^32). Never takes credit back."""

    stream: U32
    until: U32


@dataclass(frozen=True)
class Capturing(Message):
    """Reply to CAPTURE and CREDIT."""

    stream: U32
    next: U32  # index of the next sample frame that is sent
    sampled: U32  # sample frames so far: sent, held back and lost
    overruns: U32  # those lost, for want of room or by the sensor


@dataclass(frozen=True)
class Data(Message):
    """DATA; tail: whole sample frames of int16, without a gap among them."""

    stream: U32
    index: U32  # of the first sample frame: counts from 0, the lost ones too, modulo 2^32
    overruns: U32  # sample frames lost before it, since CAPTURE
    ticks: U32  # port_ticks when the first sample frame was taken


@dataclass(frozen=True)
class Verdicts(Message):
    """Reply to VERDICTS; tail: the last VERDICT bodies that fit, the oldest first, each of `size` bytes."""

    windows: U32  # verdicts since run mode began
    unsent: U32  # those that were not sent, because nobody listened
    count: U16  # in the tail
    size: U16


@dataclass(frozen=True)
class Rebaseline(Message):
    """REBASELINE: set the baseline by the next windows. One with the token of the last one is only answered."""

    token: U32  # drawn at random by the host, not 0
    windows: U16  # 2 to 4096, or UNDO or STOP
    reserved: U16


@dataclass(frozen=True)
class Baseline(Message):
    """Reply to REBASELINE and BASELINE, about run mode or in host mode about the host's stream."""

    token: U32  # of the last REBASELINE that was taken; 0: none
    revision: U32
    gathered: U16  # windows, of a re-baselining under way or the last one
    wanted: U16
    change: U16  # 1/256 octave: mean absolute offset of the band means that the last one found
    reach: U16  # 1/256 octave: the largest that is taken
    outcome: U8  # Outcome
    state: U8  # State, after the last window
    reserved: U16


@dataclass(frozen=True)
class Memory(Message):
    """Reply to MEMORY."""

    work_bytes: U32  # that the core works in, or a capture's ring
    stack_bytes: U32  # reserved for the stack; 0 where an operating system gives it
    stack_used: U32  # the deepest since power-on, or reset; 0 where it is not known


@dataclass(frozen=True)
class Nak(Message):
    """Refusal of a request, with its sequence number."""

    request: U8
    code: U8  # Refusal
    reserved: U16
    detail: I32


@dataclass(frozen=True)
class Verdict(Message):
    """VERDICT; tail: int16 mean per channel."""

    window: U32  # number of the window: START's, and one more for each
    first: U32  # sample frame at which it began
    score: I32
    threshold: I32
    anomaly: U8
    flags: U8
    channels: U8
    state: U8  # State
    votes: U8  # how many of the last windows voted
    reasons: U8  # Reason
    reserved: U16
    change: I16  # 1/256 octave
    rise: I16  # 1/256 octave


@dataclass(frozen=True)
class Features(Message):
    """FEATURES; tail: int16 features from `offset` on."""

    window: U32
    offset: U16
    total: U16  # features of a window


@dataclass(frozen=True)
class Costs(Message):
    """COSTS: ticks of port_ticks between the stages of one window."""

    window: U32
    samples: U32  # taking samples and their moments
    spectrum: U32
    bands: U32
    features: U32
    score: U32


MESSAGES: tuple[type[Message], ...] = (
    Info, Start, Taken, Samples, Trace, Traced, Replayed, Sensor, Capture, Credit, Capturing, Data, Verdicts,
    Rebaseline, Baseline, Memory, Nak, Verdict, Features, Costs,
)  # fmt: skip


def header() -> str:
    """firmware/app/messages.h: the schema in C, with a check of every size."""
    lines = [
        "/* Generated from cyberhans/messages.py: python -m cyberhans.messages > firmware/app/messages.h */",
        "#ifndef MESSAGES_H_", "#define MESSAGES_H_", "", "#include <stdint.h>", "",
        f"#define PROTOCOL_VERSION {PROTOCOL_VERSION}", f"#define MESSAGE_REPLY 0x{REPLY:02X}u",
        f"#define MESSAGE_NAK 0x{NAK:02X}u", f"#define DUMP_BYTES {DUMP_BYTES}",
        f"#define REBASELINE_UNDO {UNDO}", f"#define REBASELINE_STOP {STOP}", "",
    ]  # fmt: skip
    for enumeration in (Request, Event, Refusal, Mode, Storage, Option):
        name = enumeration.__name__.lower()
        members = [f"    {name.upper()}_{item.name} = 0x{item.value:02X}," for item in enumeration]
        lines += [f"enum {name} {{", *members, "};"]
    for message in MESSAGES:
        lines += ["", *c_struct(message)]
    return "\n".join([*lines, "", "#endif", ""])


if __name__ == "__main__":
    print(header(), end="")
