#include "packet_stream.h"

#include <stdlib.h>
#include <string.h>

#include "packet.h"

static uint8_t *put(uint8_t *end, int32_t size, const uint8_t *frame)
{
    memcpy(end, &size, sizeof size);
    end += sizeof size;
    if (size > 0) {
        memcpy(end, frame, (size_t)size);
        end += size;
    }
    return end;
}

size_t packet_stream(const uint8_t *wire, size_t size, size_t largest, uint8_t *answers)
{
    struct hans_decoder decoder = {.room = malloc(largest), .size = (uint16_t)largest};
    uint8_t *end = answers;

    for (size_t i = 0; i < size; i++) {
        int found = hans_packet_take(&decoder, wire[i]);
        if (found != 0) {
            end = put(end, found, decoder.room);
        }
    }
    free(decoder.room);
    return (size_t)(end - answers);
}

static uint32_t plain_crc(const uint8_t *bytes, size_t size)
{
    uint32_t crc = 0xFFFFFFFFu;

    for (size_t i = 0; i < 8 * size; i++) {
        uint32_t bit = (crc ^ (uint32_t)bytes[i / 8] >> i % 8) & 1u;
        crc = crc >> 1 ^ (bit ? 0xEDB88320u : 0u);
    }
    return ~crc;
}

/* The frame's size with its CRC, or -1 where a block ends beyond the segment. */
static long plain_cobs(const uint8_t *segment, size_t size, uint8_t *frame)
{
    size_t at = 0, end = 0;

    while (at < size) {
        size_t code = segment[at];
        if (at + code > size) {
            return -1;
        }
        memcpy(frame + end, segment + at + 1, code - 1);
        end += code - 1;
        at += code;
        if (code < 255 && at < size) {
            frame[end++] = 0;
        }
    }
    return (long)end;
}

static int32_t plain_segment(const uint8_t *segment, size_t size, size_t largest, uint8_t *frame)
{
    long end = plain_cobs(segment, size, frame);
    uint32_t told = 0;

    if (end < 2 + 4 || (size_t)end > largest) {
        return -1;
    }
    for (int i = 3; i >= 0; i--) {
        told = told << 8 | frame[end - 4 + i];
    }
    return told == plain_crc(frame, (size_t)end - 4) ? (int32_t)end - 4 : -1;
}

size_t packet_plain(const uint8_t *wire, size_t size, size_t largest, uint8_t *answers)
{
    uint8_t *frame = malloc(size + 1), *end = answers;
    size_t begin = 0;

    for (size_t i = 0; i < size; i++) {
        if (wire[i] == 0) {
            if (i > begin) {
                end = put(end, plain_segment(wire + begin, i - begin, largest, frame), frame);
            }
            begin = i + 1;
        }
    }
    free(frame);
    return (size_t)(end - answers);
}
