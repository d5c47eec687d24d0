#include "answer.h"

#include <string.h>

#include "detector.h"
#include "kept.h"
#include "messages.h"
#include "port.h"
#include "stream.h"
#include "verdicts.h"
#include "watch.h"

#define SPEC HANS_DETECTOR_SPEC
#define MODEL HANS_DETECTOR_MODEL
#define FRAME_BYTES (2u * SPEC.channels) /* of a sample frame */

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "messages are laid out for a little-endian processor"
#endif
typedef char int_has_32_bits[sizeof(int) >= 4 ? 1 : -1];
typedef char body_holds_a_dump[sizeof(struct message_traced) + DUMP_BYTES <= HANS_BODY_MAX ? 1 : -1];
typedef char body_holds_info[sizeof(struct message_info) <= HANS_BODY_MAX ? 1 : -1];

void answer_reply(const struct link_packet *packet, const void *body, size_t size)
{
    link_send(packet->type | MESSAGE_REPLY, packet->seq, body, size, NULL, 0);
}

void answer_refuse(const struct link_packet *packet, enum refusal code, int32_t detail)
{
    struct message_nak nak = {.request = packet->type, .code = (uint8_t)code, .detail = detail};
    link_send(MESSAGE_NAK, packet->seq, &nak, sizeof nak, NULL, 0);
}

static void answer_info(const struct link_packet *packet)
{
    struct message_info info = {
        .protocol = PROTOCOL_VERSION,
        .arithmetic = HANS_ARITHMETIC,
        .interface = HANS_INTERFACE,
        .body_max = HANS_BODY_MAX,
        .credits = LINK_CREDITS,
        .features = SPEC.features,
        .status = stream_state()->status,
        .flags = MODEL.flags,
        .channels = SPEC.channels,
        .mode = stream_state()->mode,
        .state = kept_state()->state,
        .storage = kept_state()->storage,
        .firmware = FIRMWARE_VERSION,
        .revision = kept_state()->revision,
        .rate_mhz = SPEC.rate_mhz,
        .window = SPEC.window,
        .hop = SPEC.hop,
        .tick_hz = port_tick_hz,
        .lost = port_lost(),
        .broken = link_broken(),
    };
    size_t named = strlen(port_board);
    char serial[17];

    port_serial(serial);
    memcpy(info.spec, SPEC.digest, sizeof info.spec);
    memcpy(info.model, MODEL.digest, sizeof info.model);
    memcpy(info.detector, MODEL.detector, sizeof info.detector);
    memcpy(info.serial, serial, sizeof info.serial);
    memcpy(info.board, port_board, named < sizeof info.board ? named : sizeof info.board);
    answer_reply(packet, &info, sizeof info);
}

static void answer_taken(const struct link_packet *packet, int core)
{
    struct message_taken taken = {.next = stream_state()->next, .lost = port_lost(), .credits = LINK_CREDITS};

    if (core == HANS_OK) {
        answer_reply(packet, &taken, sizeof taken);
    } else {
        answer_refuse(packet, REFUSAL_CORE, core);
    }
}

static void answer_start(const struct link_packet *packet)
{
    struct message_start start = {0, 0};

    if (packet->size < sizeof start.options) {
        answer_refuse(packet, REFUSAL_LENGTH, 0);
        return;
    }
    memcpy(&start, packet->body, packet->size < sizeof start ? sizeof start.options : sizeof start);
    answer_taken(packet, stream_begin(MODE_HOST, start.options, start.window));
}

static void answer_samples(const struct link_packet *packet)
{
    struct message_samples head;

    if (stream_state()->mode != MODE_HOST) {
        answer_refuse(packet, REFUSAL_MODE, 0);
        return;
    }
    if (packet->size < sizeof head || (packet->size - sizeof head) % FRAME_BYTES != 0) {
        answer_refuse(packet, REFUSAL_LENGTH, 0);
        return;
    }
    memcpy(&head, packet->body, sizeof head);
    if (head.index != stream_state()->next) {
        answer_refuse(packet, REFUSAL_INDEX, (int32_t)stream_state()->next);
        return;
    }
    /* A body lies at an even address, in memory declared as 16-bit words (link.c). */
    answer_taken(packet, stream_take((const int16_t *)(const void *)(packet->body + sizeof head),
                                     (packet->size - sizeof head) / FRAME_BYTES));
}

static void answer_trace(const struct link_packet *packet)
{
    struct message_trace trace;

    if (packet->size < sizeof trace) {
        answer_refuse(packet, REFUSAL_LENGTH, 0);
        return;
    }
    memcpy(&trace, packet->body, sizeof trace);
    watch_arm(&trace);
    answer_reply(packet, NULL, 0);
}

static void answer_traced(const struct link_packet *packet)
{
    uint16_t size;
    const uint8_t *dump = watch_dump(&size);

    link_send(REQUEST_TRACED | MESSAGE_REPLY, packet->seq, watch_traced(), sizeof(struct message_traced), dump, size);
}

/* Fill `room` with `size` bytes, or less at the end of the file. Returns the bytes, or < 0 on an error. */
static long read_block(int file, uint8_t *room, size_t size)
{
    size_t fill = 0;

    while (fill < size) {
        long got = port_file_read(file, room + fill, size - fill);
        if (got < 0) {
            return got;
        }
        if (got == 0) {
            break;
        }
        fill += (size_t)got;
    }
    return (long)fill;
}

/* Take a whole file of the host, through the memory of the packet that named it. */
static void answer_file(const struct link_packet *packet)
{
    struct message_replayed replayed = {0, 0};
    int core = HANS_OK;
    int file = -1;
    size_t block;
    long got;

    if (stream_state()->mode != MODE_HOST) {
        answer_refuse(packet, REFUSAL_MODE, 0);
        return;
    }
    if (packet->size > 0 && packet->body[packet->size - 1] == 0) {
        file = port_file_open((const char *)packet->body);
    }
    if (file < 0) {
        answer_refuse(packet, REFUSAL_FILE, 0);
        return;
    }
    block = HANS_BODY_MAX / FRAME_BYTES * FRAME_BYTES;
    while ((got = read_block(file, packet->body, block)) > 0 && got % (long)FRAME_BYTES == 0 && core == HANS_OK) {
        core = stream_take((const int16_t *)(const void *)packet->body, (size_t)got / FRAME_BYTES);
    }
    port_file_close(file);
    replayed.frames = stream_frames();
    replayed.windows = stream_state()->windows;
    if (core != HANS_OK) {
        answer_refuse(packet, REFUSAL_CORE, core);
    } else if (got != 0) {
        answer_refuse(packet, got < 0 ? REFUSAL_FILE : REFUSAL_LENGTH, 0);
    } else {
        answer_reply(packet, &replayed, sizeof replayed);
    }
}

static void answer_run(const struct link_packet *packet)
{
    int core = stream_begin(MODE_RUN, 0, 0);

    if (core == HANS_OK) {
        answer_reply(packet, NULL, 0);
    } else {
        answer_refuse(packet, REFUSAL_CORE, core);
    }
}

static void answer_verdicts(const struct link_packet *packet)
{
    const uint8_t *tail;
    struct message_verdicts told = verdicts_told(&tail);

    link_send(REQUEST_VERDICTS | MESSAGE_REPLY, packet->seq, &told, sizeof told, tail, (size_t)told.count * told.size);
}

/* Of a capture the core knows nothing: its ring lies in the core's memory. */
static void answer_baseline(const struct link_packet *packet, int core)
{
    struct message_baseline told;

    if (stream_state()->mode == MODE_CAPTURE) {
        answer_refuse(packet, REFUSAL_MODE, 0);
        return;
    }
    core = core == HANS_OK ? stream_baseline(&told) : core;
    if (core == HANS_OK) {
        answer_reply(packet, &told, sizeof told);
    } else {
        answer_refuse(packet, REFUSAL_BASELINE, core);
    }
}

static void answer_rebaseline(const struct link_packet *packet)
{
    struct message_rebaseline wanted;

    if (packet->size < sizeof wanted) {
        answer_refuse(packet, REFUSAL_LENGTH, 0);
        return;
    }
    memcpy(&wanted, packet->body, sizeof wanted);
    answer_baseline(packet, stream_state()->mode == MODE_CAPTURE ? HANS_OK : stream_rebaseline(&wanted));
}

static void answer_memory(const struct link_packet *packet)
{
    struct message_memory told = {.work_bytes = (uint32_t)stream_work_size()};

    port_stack(&told.stack_bytes, &told.stack_used);
    answer_reply(packet, &told, sizeof told);
}

void answer(const struct link_packet *packet)
{
    switch (packet->type) {
    case REQUEST_INFO:
        answer_info(packet);
        break;
    case REQUEST_START:
        answer_start(packet);
        break;
    case REQUEST_SAMPLES:
        answer_samples(packet);
        break;
    case REQUEST_TRACE:
        answer_trace(packet);
        break;
    case REQUEST_TRACED:
        answer_traced(packet);
        break;
    case REQUEST_FILE:
        answer_file(packet);
        break;
    case REQUEST_RUN:
        answer_run(packet);
        break;
    case REQUEST_VERDICTS:
        answer_verdicts(packet);
        break;
    case REQUEST_REBASELINE:
        answer_rebaseline(packet);
        break;
    case REQUEST_BASELINE:
        answer_baseline(packet, HANS_OK);
        break;
    case REQUEST_MEMORY:
        answer_memory(packet);
        break;
    case REQUEST_SENSOR:
        answer_sensor(packet);
        break;
    case REQUEST_CAPTURE:
        answer_capture(packet);
        break;
    case REQUEST_CREDIT:
        answer_credit(packet);
        break;
    default:
        answer_refuse(packet, REFUSAL_UNKNOWN, 0);
    }
}
