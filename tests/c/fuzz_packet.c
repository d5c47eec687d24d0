/*
 * libFuzzer on firmware/core/packet.c: any stream of bytes, in a room as large as the largest frame and not a byte
 * larger. Traps where the decoder and the plain reading of SPEC.md differ; ends with one line of counts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "packet_stream.h"

static unsigned long inputs, sound, whole, frames, broken;

static void tell(void)
{
    printf("inputs %lu sound %lu whole %lu frames %lu broken %lu\n", inputs, sound, whole, frames, broken);
}

static void count(const uint8_t *answers, size_t size)
{
    unsigned long found = 0, lost = 0;

    for (size_t at = 0; at < size;) {
        int32_t frame;
        memcpy(&frame, answers + at, sizeof frame);
        at += sizeof frame + (size_t)(frame > 0 ? frame : 0);
        frame > 0 ? found++ : lost++;
    }
    inputs++;
    sound += found > 0;
    whole += found > 0 && lost == 0;
    frames += found;
    broken += lost;
}

int LLVMFuzzerTestOneInput(const uint8_t *wire, size_t size)
{
    uint8_t *answers = malloc(ANSWERS_ROOM(size)), *plain = malloc(ANSWERS_ROOM(size));
    size_t end = packet_stream(wire, size, LARGEST_FRAME, answers);

    if (end != packet_plain(wire, size, LARGEST_FRAME, plain) || memcmp(answers, plain, end) != 0) {
        fprintf(stderr, "the decoder and SPEC.md differ\n");
        __builtin_trap();
    }
    if (inputs == 0) {
        atexit(tell);
    }
    count(answers, end);
    free(answers);
    free(plain);
    return 0;
}
