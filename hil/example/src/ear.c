/*
 * The requests INFO, START, SAMPLES and RUN of Cyber-Hans's link (SPEC.md section 10): all that its test suite needs for
 * identity and parity. What is not answered is refused, and tests that need it are skipped.
 */
#include "ear.h"

#include <string.h>

#include "detector.h"
#include "messages.h"
#include "packet.h"
#include "uart.h"

#define SPEC HANS_DETECTOR_SPEC
#define MODEL HANS_DETECTOR_MODEL
#define BODY_MAX 256u
#define FRAME (2u + BODY_MAX)

static struct hans hans;
static uint64_t work[HANS_DETECTOR_WORDS];
static int status, state;

static uint16_t received[(FRAME + HANS_CRC_BYTES + 1) / 2]; /* words, so that samples can be read where they lie */
static struct hans_decoder decoder = {.room = (uint8_t *)received, .size = FRAME + HANS_CRC_BYTES};
static uint8_t sent[HANS_PACKET_ROOM(FRAME)];
static uint32_t broken;

static int testing; /* a host sends the samples */
static uint32_t next, window, options;
static uint8_t event_seq;

static void send(uint8_t type, uint8_t seq, const void *head, size_t head_size, const void *tail, size_t tail_size)
{
    uint8_t *frame = sent + HANS_PACKET_LEAD;

    frame[0] = type;
    frame[1] = seq;
    if (head_size > 0)
        memcpy(frame + 2, head, head_size);
    if (tail_size > 0)
        memcpy(frame + 2 + head_size, tail, tail_size);
    uart_put(sent, hans_packet_seal(sent, 2 + head_size + tail_size));
}

static void reply(const uint8_t *frame, const void *body, size_t size)
{
    send(frame[0] | MESSAGE_REPLY, frame[1], body, size, NULL, 0);
}

static void refuse(const uint8_t *frame, enum refusal code, int32_t detail)
{
    const struct message_nak nak = {.request = frame[0], .code = (uint8_t)code, .detail = detail};

    send(MESSAGE_NAK, frame[1], &nak, sizeof nak, NULL, 0);
}

static void tell_window(const struct hans_verdict *verdict)
{
    const struct message_verdict told = {
        .window = window + verdict->window,
        .first = window * SPEC.hop + verdict->first,
        .score = verdict->score,
        .threshold = verdict->threshold,
        .anomaly = verdict->anomaly,
        .flags = verdict->flags,
        .channels = SPEC.channels,
        .state = verdict->state,
        .votes = verdict->votes,
        .reasons = verdict->reasons,
        .change = verdict->change,
        .rise = verdict->rise,
    };
    struct message_features part = {.window = told.window, .total = SPEC.features};
    const int16_t *features = hans_features(&hans);

    send(EVENT_VERDICT, event_seq++, &told, sizeof told, verdict->mean, 2u * SPEC.channels);
    while ((options & OPTION_FEATURES) && part.offset < part.total) {
        const uint16_t most = (BODY_MAX - sizeof part) / 2, rest = (uint16_t)(part.total - part.offset);
        const uint16_t count = rest < most ? rest : most;
        send(EVENT_FEATURES, event_seq++, &part, sizeof part, features + part.offset, 2u * count);
        part.offset = (uint16_t)(part.offset + count);
    }
}

static void take(const int16_t *samples, size_t frames)
{
    struct hans_verdict verdict;

    while (frames > 0 && status == HANS_OK) {
        const long used = hans_push(&hans, samples, frames);
        const int judged = used < 0 ? (int)used : hans_poll(&hans, &verdict);

        if (judged < 0) {
            status = judged;
            return;
        }
        if (judged > 0) {
            state = verdict.state;
            if (testing)
                tell_window(&verdict);
        }
        samples += (size_t)used * SPEC.channels;
        frames -= (size_t)used;
        next += (uint32_t)used;
    }
}

static void begin(int host, uint32_t first_window, uint32_t wanted)
{
    testing = host;
    window = first_window;
    options = wanted;
    next = window * SPEC.hop;
    (void)hans_reset(&hans, HANS_AS_BUILT);
    (void)hans_restart(&hans);
}

static void answer_info(const uint8_t *frame)
{
    struct message_info info = {
        .protocol = PROTOCOL_VERSION, .arithmetic = HANS_ARITHMETIC, .interface = HANS_INTERFACE,
        .body_max = BODY_MAX, .credits = 1, .features = SPEC.features, .status = (int16_t)status,
        .flags = MODEL.flags, .channels = SPEC.channels, .mode = testing ? MODE_HOST : MODE_RUN,
        .state = (uint8_t)state, .storage = STORAGE_NONE, .firmware = "pump 1.0", .board = "pump-controller",
        .rate_mhz = SPEC.rate_mhz, .window = SPEC.window, .hop = SPEC.hop, .tick_hz = 0, .broken = broken,
    };

    memcpy(info.serial, "00000000000000A1", sizeof info.serial);
    memcpy(info.spec, SPEC.digest, sizeof info.spec);
    memcpy(info.model, MODEL.digest, sizeof info.model);
    memcpy(info.detector, MODEL.detector, sizeof info.detector);
    reply(frame, &info, sizeof info);
}

static void answer_taken(const uint8_t *frame)
{
    const struct message_taken taken = {.next = next, .credits = 1};

    if (status == HANS_OK)
        reply(frame, &taken, sizeof taken);
    else
        refuse(frame, REFUSAL_CORE, status);
}

static void answer_start(const uint8_t *frame, size_t size)
{
    struct message_start start;

    if (size < sizeof start) {
        refuse(frame, REFUSAL_LENGTH, 0);
        return;
    }
    memcpy(&start, frame + 2, sizeof start);
    begin(1, start.window, start.options);
    answer_taken(frame);
}

static void answer_samples(const uint8_t *frame, size_t size)
{
    struct message_samples head;

    if (size < sizeof head || (size - sizeof head) % (2u * SPEC.channels) != 0) {
        refuse(frame, REFUSAL_LENGTH, 0);
        return;
    }
    memcpy(&head, frame + 2, sizeof head);
    if (!testing) {
        refuse(frame, REFUSAL_MODE, 0);
    } else if (head.index != next) {
        refuse(frame, REFUSAL_INDEX, (int32_t)next);
    } else {
        take((const int16_t *)(const void *)(frame + 2 + sizeof head), (size - sizeof head) / (2u * SPEC.channels));
        answer_taken(frame);
    }
}

void ear_byte(uint8_t byte)
{
    const int size = hans_packet_take(&decoder, byte);
    const uint8_t *frame = decoder.room;

    broken += size < 0;
    if (size < 2)
        return;
    switch (frame[0]) {
    case REQUEST_INFO:
        answer_info(frame);
        break;
    case REQUEST_START:
        answer_start(frame, (size_t)size - 2);
        break;
    case REQUEST_SAMPLES:
        answer_samples(frame, (size_t)size - 2);
        break;
    case REQUEST_RUN:
        begin(0, 0, 0);
        reply(frame, NULL, 0);
        break;
    default:
        refuse(frame, REFUSAL_UNKNOWN, 0);
    }
}

int ear_listen(const int16_t *samples, size_t frames)
{
    if (!testing)
        take(samples, frames);
    return state;
}

int ear_init(void)
{
    status = hans_init(&hans, &SPEC, &MODEL, work, sizeof work);
    return status;
}
