/*
 * libFuzzer's mutator for streams of packets: takes the frames out of a stream, bends one, seals all again, and
 * damages the wire of every fourth stream. So most inputs reach what lies behind the CRC.
 */
#include <stdlib.h>
#include <string.h>

#include "packet.h"

#define MOST_FRAMES 8
#define FRAME_ROOM (LARGEST_FRAME + 8) /* frames that are too large belong to what is tried */
#ifndef REQUESTS
#define REQUESTS 0 /* types that most packets have, from 1; 0: any */
#endif

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

struct frame {
    size_t size; /* without CRC */
    uint8_t bytes[FRAME_ROOM];
};

static struct frame frames[MOST_FRAMES];
static size_t count;
static uint32_t state;

static uint32_t chance(uint32_t below)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state % below;
}

/* Whatever a segment decodes to, sound or not, less four bytes for its CRC. */
static void unpack(const uint8_t *segment, size_t size)
{
    struct frame *frame = &frames[count++];
    size_t at = 0;

    frame->size = 0;
    while (at < size && frame->size < FRAME_ROOM) {
        size_t code = segment[at++];
        for (size_t i = 1; i < code && at < size && frame->size < FRAME_ROOM; i++) {
            frame->bytes[frame->size++] = segment[at++];
        }
        if (code < 255 && at < size && frame->size < FRAME_ROOM) {
            frame->bytes[frame->size++] = 0;
        }
    }
    frame->size -= frame->size < 4 ? frame->size : 4;
}

static void take_frames(const uint8_t *wire, size_t size)
{
    size_t begin = 0;

    count = 0;
    for (size_t i = 0; i <= size && count < MOST_FRAMES; i++) {
        if (i == size || wire[i] == 0) {
            if (i > begin) {
                unpack(wire + begin, i - begin);
            }
            begin = i + 1;
        }
    }
}

/* Sizes around COBS' blocks, with the CRC and without, and around both limits. */
static void resize(struct frame *frame)
{
    static const size_t sizes[] = {2, 3, 249, 250, 251, 253, 254, 255, 504, 508, 509, 758, 762, 1016, 1017};
    size_t size = chance(4) == 0 ? LARGEST_FRAME - 4 + chance(3) - 1 : sizes[chance(sizeof sizes / sizeof *sizes)];

    size %= FRAME_ROOM - 4;
    for (size_t i = frame->size; i < size; i++) {
        frame->bytes[i] = (uint8_t)(1 + chance(255));
    }
    frame->size = size;
}

static void fill(struct frame *frame)
{
    size_t from = chance((uint32_t)frame->size), to = from + chance((uint32_t)(frame->size - from) + 1);
    memset(frame->bytes + from, chance(2) ? 0 : (int)chance(256), to - from);
}

static void bend(void)
{
    size_t which = count ? chance((uint32_t)count) : 0;
    struct frame *frame = &frames[which];

    switch (count ? chance(8) : 7) {
    case 0:
        resize(frame);
        break;
    case 1:
        if (frame->size) {
            fill(frame);
        }
        break;
    case 2:
        frames[which] = frames[--count];
        break;
    case 7:
        if (count < MOST_FRAMES) {
            frames[count] = frames[chance((uint32_t)count + 1)];
            resize(&frames[count++]);
        }
        break;
    default:
        frame->size = LLVMFuzzerMutate(frame->bytes, frame->size, FRAME_ROOM - 4);
    }
}

static size_t seal_frames(uint8_t *wire, size_t max_size)
{
    static uint8_t room[HANS_PACKET_ROOM(FRAME_ROOM)];
    size_t end = 0;

    for (size_t i = 0; i < count; i++) {
        size_t size = frames[i].size < 2 && chance(4) ? 2 : frames[i].size; /* one or no byte is no frame */
        if (REQUESTS && chance(2)) {
            frames[i].bytes[0] = (uint8_t)(1 + frames[i].bytes[0] % REQUESTS);
        }
        memcpy(room + HANS_PACKET_LEAD, frames[i].bytes, size);
        size = hans_packet_seal(room, size);
        if (size <= max_size - end) {
            memcpy(wire + end, room, size);
            end += size;
        }
    }
    return end;
}

static size_t insert(uint8_t *wire, size_t size, size_t max_size, size_t at, uint8_t byte)
{
    if (size == max_size) {
        return size;
    }
    memmove(wire + at + 1, wire + at, size - at);
    wire[at] = byte;
    return size + 1;
}

static size_t damage(uint8_t *wire, size_t size, size_t max_size)
{
    size_t at = size ? chance((uint32_t)size) : 0;

    switch (size ? chance(6) : 5) {
    case 0:
        wire[at] ^= (uint8_t)(1 << chance(8));
        return size;
    case 1:
        memmove(wire + at, wire + at + 1, size - at - 1);
        return size - 1;
    case 2:
        return at;
    case 3: /* an empty block at the end: a zero more, or after a full one nothing */
        return insert(wire, size, max_size, size - 1, 1);
    case 4:
        return insert(wire, size, max_size, at, 0);
    default:
        return LLVMFuzzerMutate(wire, size, max_size);
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *wire, size_t size, size_t max_size, unsigned int seed)
{
    state = seed * 2654435761u | 1u;
    take_frames(wire, size);
    bend();
    size = seal_frames(wire, max_size);
    return chance(4) ? size : damage(wire, size, max_size);
}
