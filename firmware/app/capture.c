#include "capture.h"

#include <string.h>

#include "link.h"
#include "packet.h"
#include "port.h"
#include "source.h"

#define SAMPLES_MAX ((HANS_BODY_MAX - sizeof(struct message_data)) / sizeof(int16_t)) /* of a packet */
#define PATIENCE 10 /* a packet is sent before it is full when 1/10 s old, if none other waits */

/* No memory access is moved across it. The interrupt runs on the same core, so the processor needs none. */
#define IN_ORDER() __asm__ volatile("" : : : "memory")

struct slot {
    uint32_t frames;
    uint32_t index; /* of its first sample frame; so with the next two */
    uint32_t overruns;
    uint32_t ticks;
    int16_t samples[];
};

/* Changed only while nothing runs. */
static uint8_t *ring;
static uint32_t stream, wanted_frames;
static uint64_t step; /* of a sample frame, in 2^-32 ticks */
static uint16_t slots, slot_size; /* slot_size: bytes */
static uint16_t capacity;         /* sample frames of a slot */
static uint8_t width;             /* channels */

/* Owned by the interrupt while it runs. */
static volatile uint8_t running;
static volatile uint32_t sampled, overruns;
static volatile uint32_t begun;  /* index of the first sample frame that is in no filled slot */
static volatile uint32_t filled; /* slots ever filled, modulo 2^32 */
static struct slot *filling;
static uint16_t put; /* the slot that is filled next */

/* Owned by the main loop. */
static volatile uint32_t sent; /* slots ever sent */
static uint32_t credit;
static uint16_t get;

static struct slot *slot_at(uint16_t place)
{
    return (struct slot *)(void *)(ring + (size_t)place * slot_size);
}

static uint16_t after(uint16_t place)
{
    return (uint16_t)(place + 1 < slots ? place + 1 : 0);
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Of the line one byte in 64 is left for replies to requests. */
uint32_t capture_most_mhz(uint8_t channels)
{
    const uint32_t frames = SAMPLES_MAX / channels;
    const uint32_t size = LINK_FRAME - HANS_BODY_MAX + sizeof(struct message_data) +
                          frames * channels * sizeof(int16_t) + HANS_CRC_BYTES;
    const uint32_t wire = size + 1 + size / 254 + 1;
    const uint64_t carried = (uint64_t)(port_baud / 10 - port_baud / 640) * frames * 1000 / wire;
    const uint32_t most = source_sensor()->most_mhz;

    return port_baud == 0 || carried > most ? most : (uint32_t)carried;
}

int capture_runs(void)
{
    return running;
}

void capture_begin(const struct message_capture *wanted, void *room, size_t size)
{
    capture_stop();
    ring = room;
    stream = wanted->stream;
    wanted_frames = wanted->frames;
    step = source_step(wanted->rate_mhz);
    width = wanted->channels;
    capacity = (uint16_t)(SAMPLES_MAX / width);
    slot_size = (uint16_t)((sizeof(struct slot) + capacity * width * sizeof(int16_t) + 3) / 4 * 4);
    slots = (uint16_t)least((uint32_t)(size / slot_size), UINT16_MAX);
    sampled = overruns = begun = filled = sent = credit = 0;
    put = get = 0;
    filling = NULL;
    capture_credit(wanted->until);
    source_start(wanted->rate_mhz, width);
    IN_ORDER();
    running = 1;
}

void capture_stop(void)
{
    running = 0;
    IN_ORDER();
    source_stop();
}

void capture_credit(uint32_t until)
{
    if ((int32_t)(until - credit) > 0) {
        credit = until;
    }
}

/* Each value is read before those that it must not overtake. */
struct message_capturing capture_state(void)
{
    struct message_capturing state = {.stream = stream, .next = begun};

    IN_ORDER();
    if (filled != sent) {
        state.next = slot_at(get)->index;
    }
    state.overruns = overruns;
    state.sampled = sampled;
    return state;
}

int capture_send(void)
{
    const struct slot *slot = slot_at(get);
    struct message_data head = {.stream = stream};

    if (filled == sent) {
        return 0;
    }
    IN_ORDER();
    if ((int32_t)(credit - slot->index - slot->frames) < 0 || !link_room()) {
        return 0;
    }
    head.index = slot->index;
    head.overruns = slot->overruns;
    head.ticks = slot->ticks;
    link_event(EVENT_DATA, &head, sizeof head, slot->samples, slot->frames * width * sizeof(int16_t));
    get = after(get);
    IN_ORDER();
    sent++;
    return 1;
}

/* --- in the interrupt */

static void close_slot(void)
{
    if (filling) {
        filling = NULL;
        put = after(put);
        begun = sampled;
        filled++;
    }
}

static void lose(uint32_t frames)
{
    close_slot();
    sampled += frames;
    overruns += frames;
    begun = sampled;
}

/* The slot under way, or a new one whose first sample frame is `frames` after the block's; NULL: all are full. */
static struct slot *open_slot(const struct source_block *block, uint32_t frames)
{
    if (!filling && filled - sent < slots) {
        filling = slot_at(put);
        filling->frames = 0;
        filling->index = sampled;
        filling->overruns = overruns;
        filling->ticks = block->ticks + (uint32_t)(frames * step >> 32);
    }
    return filling;
}

static void take(const struct source_block *block, uint32_t count)
{
    for (uint32_t done = 0, some; done < count; done += some) {
        struct slot *slot = open_slot(block, done);
        if (!slot) {
            lose(count - done);
            return;
        }
        some = least(count - done, capacity - slot->frames);
        memcpy(slot->samples + slot->frames * width, block->samples + done * width, some * width * sizeof(int16_t));
        slot->frames += some;
        sampled += some;
        if (slot->frames == capacity) {
            close_slot();
        }
    }
}

/* Sample frames that are still wanted. */
static uint32_t wanting(void)
{
    return wanted_frames ? wanted_frames - sampled : UINT32_MAX;
}

void capture_take(void)
{
    struct source_block block;

    while (running && (block = source_read()).frames > 0) {
        if (block.lost > 0) {
            lose(least(block.lost, wanting()));
        }
        take(&block, least(block.frames, wanting()));
        if (wanting() == 0) {
            close_slot();
            running = 0;
            source_stop();
        }
    }
    if (filling && filled == sent && port_ticks() - filling->ticks >= port_tick_hz / PATIENCE) {
        close_slot();
    }
}
