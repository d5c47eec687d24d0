"""The C of a Whitening (SPEC.md section 7): tables and one function, all integers; the whole of a gaussian's model."""

from __future__ import annotations

from collections.abc import Iterable
from string import Template

import numpy as np

from cyberhans.detectors.heads import Head
from cyberhans.detectors.whitening import Whitening, packed

NONE = 255  # where a run takes nothing off; a feature's number is at most 254

_WHITENING = Template("""
$centre
$weight
$shift
$size
$runs

/* `count` features from `first` on, less as many from `second` on ($none: none), to every step-th place from `into`. */
static const struct {
    uint8_t first, second, count, into, step;
} P_run[$run_count] = {$run};

static int16_t P_white[$room];

static int16_t P_limited(int32_t value)
{
    return (int16_t)(value < -32768 ? -32768 : value > 32767 ? 32767 : value);
}

/* One run of a head: how far its features are from their centres. */
static void P_gather(const int16_t *features, uint8_t run, int16_t *x)
{
    x += P_run[run].into;
    for (uint8_t i = 0; i < P_run[run].count; i++) {
        const uint8_t first = (uint8_t)(P_run[run].first + i), second = (uint8_t)(P_run[run].second + i);
        int32_t away = (int32_t)features[first] - P_centre[first];
        if (P_run[run].second != $none) {
            away -= (int32_t)features[second] - P_centre[second];
        }
        *x = P_limited(away);
        x += P_run[run].step;
    }
}

/* A feature less what those before it, at most $last, make expect; in 1/64 of a deviation. No sum leaves 32 bits. */
static int16_t P_row(const int16_t *x, uint8_t length, const int8_t *weight, uint8_t shift)
{
    int32_t sum = ((int32_t)1 << shift) >> 1;
    for (const int16_t *end = x + length; x < end; x++, weight++) {
        sum += (int32_t)*weight * *x;
    }
    return P_limited(sum >> shift);
}

/* $purpose */
static void P_whiten(const int16_t *features$argument)
{
    const int8_t *weight = P_weight;
    const uint8_t *shift = P_shift;
    int16_t *x = P_white;
    uint8_t run = 0;
    for (uint8_t head = 0; head < $heads; head++) {
        for (const uint8_t stop = (uint8_t)(run + P_runs[head]); run < stop; run++) {
            P_gather(features, run, x);
        }
$begin
        for (uint8_t i = P_size[head]; i-- > 0;) { /* the last first: those before are still needed */
            const uint8_t from = i >= $reach ? (uint8_t)(i - $last) : 0, length = (uint8_t)(i + 1 - from);
            x[i] = P_row(x + from, length, weight, *shift++);
            weight += length;
$each
        }
$end
    }
}
""")

_ENTRY = """
int32_t P_entry(const int16_t *features, uint32_t *parts)
{
    P_whiten(features, parts);
    return 0;
}
"""

_PARTS = {
    "purpose": "Each head whitened, and its part: the mean square, Q12, saturating.",
    "argument": ", uint32_t *parts",
    "begin": "        uint32_t sum = P_size[head] / 2u;",
    "each": """\
            const uint32_t square = (uint32_t)((int32_t)x[i] * x[i]);
            sum = square > UINT32_MAX - sum ? UINT32_MAX : sum + square;""",
    "end": "        parts[head] = sum / P_size[head];",
}
_KEPT = {
    "purpose": "Each head whitened, one behind the other in P_white.",
    "argument": "",
    "begin": "",
    "each": "",
    "end": "        x += P_size[head];",
}


def gaussian_c(whitening: Whitening) -> tuple[str, int]:
    """The body of a gaussian's model.c with P for its prefix, and bytes of its static memory."""
    room = max(head.size for head in whitening.heads)
    return _text(whitening, room, _PARTS) + _ENTRY, 2 * room


def whitening_c(whitening: Whitening) -> tuple[str, int]:
    """`P_whiten(features)`, which fills P_white with all heads, and bytes of its static memory."""
    return _text(whitening, whitening.size, _KEPT), 2 * whitening.size


def table_bytes(whitening: Whitening) -> int:
    """Bytes of the const tables that it takes in flash."""
    heads = whitening.heads
    weights = sum(len(packed(rows.weight, whitening.reach)) + len(rows.shift) for rows in whitening.rows)
    return weights + 2 * len(whitening.centre) + 2 * len(heads) + 5 * sum(len(head.runs) for head in heads)


def _text(whitening: Whitening, room: int, purpose: dict[str, str]) -> str:
    heads = whitening.heads
    runs = [run for head in heads for run in head.runs]
    weights = [packed(rows.weight, whitening.reach) for rows in whitening.rows]
    text = _WHITENING.substitute(
        centre=_table("int16_t P_centre", whitening.centre),
        weight=_table("int8_t P_weight", np.concatenate(weights)),
        shift=_table("uint8_t P_shift", np.concatenate([rows.shift[::-1] for rows in whitening.rows])),
        size=_table("uint8_t P_size", [head.size for head in heads]),
        runs=_table("uint8_t P_runs", [len(head.runs) for head in heads]),
        run=", ".join(_run(head) for head in heads), run_count=len(runs), room=room, heads=len(heads),
        none=NONE, reach=whitening.reach, last=whitening.reach - 1, **purpose,
    )  # fmt: skip
    return "\n".join(line for line in text.splitlines() if line.strip() or not line) + "\n"


def _run(head: Head) -> str:
    rows = ((run.first, NONE if run.second is None else run.second, run.count, run.into, run.step) for run in head.runs)
    return ", ".join("{" + ", ".join(map(str, row)) + "}" for row in rows)


def _table(name: str, values: Iterable[int]) -> str:
    numbers = [str(int(value)) for value in values]
    return f"static const {name}[{len(numbers)}] = {{{', '.join(numbers)}}};"
