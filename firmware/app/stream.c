#include "stream.h"

#include "capture.h"
#include "detector.h"
#include "link.h"
#include "messages.h"
#include "port.h"
#include "source.h"
#include "verdicts.h"
#include "watch.h"

#define SPEC HANS_DETECTOR_SPEC

/* The core's while it works, a capture's ring while it does not. */
static union {
    uint64_t core[HANS_DETECTOR_WORDS];
    uint32_t ring[HANS_CAPTURE_BYTES / 4];
} work;
static struct hans hans;
static struct stream stream;

static void send_features(uint32_t window)
{
    const int16_t *features = hans_features(&hans);
    struct message_features head = {.window = window, .total = SPEC.features};
    const uint16_t most = (HANS_BODY_MAX - sizeof head) / sizeof *features;

    while (head.offset < head.total) {
        uint16_t rest = (uint16_t)(head.total - head.offset);
        uint16_t count = rest < most ? rest : most;
        link_event(EVENT_FEATURES, &head, sizeof head, features + head.offset, count * sizeof *features);
        head.offset = (uint16_t)(head.offset + count);
    }
}

/* In run mode nothing waits for a host that may not be there. */
static void send_window(const struct hans_verdict *verdict)
{
    const uint32_t window = stream.window + verdict->window;
    struct message_verdict head = {
        .window = window,
        .first = stream.window * SPEC.hop + verdict->first,
        .score = verdict->score,
        .threshold = verdict->threshold,
        .anomaly = verdict->anomaly,
        .flags = verdict->flags,
        .channels = SPEC.channels,
    };
    struct message_costs costs = {.window = window};

    const size_t mean_size = SPEC.channels * sizeof *verdict->mean;
    const int sent = stream.mode != MODE_RUN || link_room();

    watch_window(&hans, &costs);
    if (stream.mode == MODE_RUN) {
        verdicts_keep(&head, verdict->mean, mean_size, sent);
    }
    if (sent) {
        link_event(EVENT_VERDICT, &head, sizeof head, verdict->mean, mean_size);
    }
    if (stream.options & OPTION_FEATURES) {
        send_features(window);
    }
    if (stream.options & OPTION_COSTS) {
        link_event(EVENT_COSTS, &costs, sizeof costs, NULL, 0);
    }
}

int stream_take(const int16_t *samples, size_t count)
{
    while (count > 0 && stream.status == HANS_OK) {
        struct hans_verdict verdict;
        int judged;
        long used;

        watch_enter();
        used = hans_push(&hans, samples, count);
        judged = used < 0 ? (int)used : hans_poll(&hans, &verdict);
        watch_leave();
        if (judged < 0) {
            stream.status = (int16_t)judged; /* INFO and the banner tell it */
            break;
        }
        if (judged > 0) {
            stream.windows++;
            send_window(&verdict);
        }
        samples += (size_t)used * SPEC.channels;
        count -= (size_t)used;
        stream.next += (uint32_t)used;
    }
    return stream.status;
}

int stream_begin(enum mode mode, uint32_t options, uint32_t window)
{
    capture_stop();
    if (stream.status != HANS_OK) {
        stream.mode = MODE_RUN; /* which does nothing then */
        return stream.status;
    }
    stream = (struct stream){.mode = (uint8_t)mode, .options = options, .window = window, .next = window * SPEC.hop};
    watch_start(&hans, mode, options, window);
    if (mode == MODE_RUN) {
        verdicts_forget();
        source_start(SPEC.rate_mhz, SPEC.channels);
    }
    return hans_restart(&hans);
}

void stream_init(void)
{
    stream.status = HANS_E_MODEL;
    if (HANS_DETECTOR_MODEL.magic) { /* a slot without a detector is all zeros (firmware/blank) */
        stream.status = (int16_t)hans_init(&hans, &SPEC, &HANS_DETECTOR_MODEL, work.core, sizeof work.core);
    }
    stream_begin(MODE_RUN, 0, 0);
}

void stream_capture(const struct message_capture *wanted)
{
    stream.mode = MODE_CAPTURE;
    capture_begin(wanted, work.ring, sizeof work);
}

size_t stream_work_size(void)
{
    return sizeof work;
}

uint32_t stream_frames(void)
{
    return stream.next - stream.window * SPEC.hop;
}

const struct stream *stream_state(void)
{
    return &stream;
}
