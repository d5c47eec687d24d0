/*
 * libFuzzer on the application behind the packet decoder: link.c, answer.c and all that they call, with a port that is
 * memory. Each input begins in run mode; a good request after it must be answered, and all that is said must be sound
 * packets or a greeting. Time is a count of steps.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "link.h"
#include "messages.h"
#include "packet.h"
#include "packet_stream.h"
#include "port.h"

#define STEP_TICKS 50000 /* 50 us: a sample frame or so */
#define MOST_STEPS 20000 /* for one input: more is a hang */
#define FILE_BYTES 6144
#define SEQ 0xA5

const char port_board[] = "memory";
const uint32_t port_tick_hz = 1000000000, port_baud = 0;

static const uint8_t *heard;
static size_t heard_left;
static uint8_t said[1 << 20], answers[ANSWERS_ROOM(sizeof said)];
static size_t said_size;
static unsigned greetings;
static uint32_t now;
static long file_left;
static uint8_t store[4096];
static long store_size;
static unsigned long inputs, sound, whole, frames, broken;
static uint8_t types[256]; /* of packet that it has ever said */

static void fail(const char *why)
{
    fprintf(stderr, "the application: %s\n", why);
    __builtin_trap();
}

size_t port_read(uint8_t *bytes, size_t size)
{
    size = size < heard_left ? size : heard_left;
    memcpy(bytes, heard, size);
    heard += size;
    heard_left -= size;
    return size;
}

void port_write(const uint8_t *bytes, size_t size)
{
    if (size > sizeof said - said_size) {
        fail("talks without end");
    }
    greetings += size > 11 && memcmp(bytes, "Cyber-Hans ", 11) == 0;
    memcpy(said + said_size, bytes, size);
    said_size += size;
}

uint32_t port_lost(void)
{
    return 0;
}

size_t port_room(void)
{
    return now & 1u << 18 ? HANS_PACKET_ROOM(LINK_FRAME) - 1 : SIZE_MAX; /* a reader who is slow at times */
}

uint32_t port_ticks(void)
{
    return now;
}

void port_stack(uint32_t *bytes, uint32_t *used)
{
    *bytes = *used = 0;
}

void port_serial(char text[17])
{
    memcpy(text, "0123456789abcdef", 17);
}

int port_file_open(const char *path)
{
    file_left = FILE_BYTES - path[0] % 5;
    return path[0] == 's' ? 0 : -1;
}

long port_file_read(int file, void *bytes, size_t size)
{
    long got = file_left < (long)size ? file_left : (long)size;

    (void)file;
    memset(bytes, (int)(file_left % 251), (size_t)got);
    file_left -= got;
    return got;
}

void port_file_close(int file)
{
    (void)file;
}

long port_store_read(void *bytes, size_t size)
{
    memcpy(bytes, store, store_size < (long)size ? (size_t)store_size : size);
    return store_size;
}

int port_store_write(const void *bytes, size_t size)
{
    if (size > sizeof store) {
        return PORT_STORE_NONE;
    }
    memcpy(store, bytes, size);
    store_size = (long)size;
    return 0;
}

void port_store_aside(void)
{
}

static void hear(const uint8_t *bytes, size_t size, int more)
{
    heard = bytes;
    heard_left = size;
    for (int steps = 0;; steps++) {
        now += STEP_TICKS;
        app_tick();
        if (!app_step() && heard_left == 0 && more-- <= 0) {
            return;
        }
        if (steps == MOST_STEPS) {
            fail("does not come to rest");
        }
    }
}

static void ask(uint8_t type, uint8_t seq)
{
    uint8_t room[1 + HANS_PACKET_ROOM(2)] = {0};
    uint8_t frame[HANS_PACKET_ROOM(2)];

    frame[HANS_PACKET_LEAD] = type;
    frame[HANS_PACKET_LEAD + 1] = seq;
    size_t size = hans_packet_seal(frame, 2);
    memcpy(room + 1, frame, size);
    hear(room, 1 + size, 0);
}

/* Of what lies in `answers`: sound frames, broken ones, types; returns whether INFO was answered. */
static int read_answers(size_t size, unsigned long *found, unsigned long *lost, uint8_t *seen)
{
    int answered = 0;

    *found = *lost = 0;
    for (size_t at = 0; at < size;) {
        int32_t frame;
        memcpy(&frame, answers + at, sizeof frame);
        at += sizeof frame;
        if (seen && frame > 0) {
            seen[answers[at]] = 1;
        }
        answered |= frame > 2 && answers[at] == (REQUEST_INFO | MESSAGE_REPLY) && answers[at + 1] == SEQ;
        at += (size_t)(frame > 0 ? frame : 0);
        frame > 0 ? ++*found : ++*lost;
    }
    return answered;
}

static void tell(void)
{
    printf("inputs %lu sound %lu whole %lu frames %lu broken %lu\n", inputs, sound, whole, frames, broken);
    printf("types");
    for (int type = 0x80; type < 256; type++) {
        if (types[type]) {
            printf(" %02x", (unsigned)type);
        }
    }
    printf("\n");
}

static void count(const uint8_t *wire, size_t size)
{
    unsigned long found, lost;

    read_answers(packet_plain(wire, size, LARGEST_FRAME, answers), &found, &lost, NULL);
    if (inputs++ == 0) {
        atexit(tell);
    }
    sound += found > 0;
    whole += found > 0 && lost == 0;
    frames += found;
    broken += lost;
}

int LLVMFuzzerTestOneInput(const uint8_t *wire, size_t size)
{
    unsigned long found, lost;

    if (inputs == 0) {
        app_init();
    }
    count(wire, size);
    ask(REQUEST_RUN, 0);
    said_size = greetings = 0;
    hear(wire, size, 200);
    ask(REQUEST_INFO, SEQ);
    if (!read_answers(packet_plain(said, said_size, LARGEST_FRAME, answers), &found, &lost, types)) {
        fail("a good request is not answered");
    }
    if (lost != greetings) {
        fail("says what is no packet");
    }
    return 0;
}
