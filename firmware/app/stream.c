#include "stream.h"

#include "capture.h"
#include "detector.h"
#include "kept.h"
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
static uint8_t last_state; /* enum hans_state: of the stream's last window */

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
        .state = verdict->state,
        .votes = verdict->votes,
        .reasons = verdict->reasons,
        .change = verdict->change,
        .rise = verdict->rise,
    };
    struct message_costs costs = {.window = window};

    const size_t mean_size = SPEC.channels * sizeof *verdict->mean;
    const int sent = stream.mode != MODE_RUN || link_room();

    watch_window(&hans, &costs);
    last_state = verdict->state;
    if (stream.mode == MODE_RUN) {
        kept_window(&hans, stream.token, verdict);
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

/* End what goes on; what the alarm logic remembers of run mode is kept. */
static void leave(void)
{
    capture_stop();
    if (stream.mode == MODE_RUN && stream.status == HANS_OK) {
        kept_put(&hans, stream.token);
    }
}

/* What the alarm logic begins with in this mode. Gives the token that goes with it. */
static uint32_t remember(enum mode mode)
{
    if (mode == MODE_RUN) {
        last_state = kept_state()->state;
        return kept_back(&hans);
    }
    hans_reset(&hans, HANS_AS_BUILT);
    last_state = HANS_STATE_NORMAL;
    return 0;
}

int stream_begin(enum mode mode, uint32_t options, uint32_t window)
{
    leave();
    if (stream.status != HANS_OK) {
        stream.mode = MODE_RUN; /* which does nothing then */
        return stream.status;
    }
    stream = (struct stream){.mode = (uint8_t)mode, .options = options, .window = window, .next = window * SPEC.hop};
    stream.token = remember(mode);
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
    if (stream.status == HANS_OK) {
        stream.token = kept_load(&hans);
    }
    stream_begin(MODE_RUN, 0, 0);
}

void stream_capture(const struct message_capture *wanted)
{
    leave();
    stream.mode = MODE_CAPTURE;
    capture_begin(wanted, work.ring, sizeof work);
}

static int rebaseline(uint16_t windows)
{
    struct hans_baseline now;
    int core;

    if (windows == REBASELINE_UNDO) {
        return hans_undo(&hans);
    }
    if (windows != REBASELINE_STOP) {
        return hans_rebaseline(&hans, windows);
    }
    core = hans_baseline(&hans, &now);
    return core == HANS_OK && now.outcome == HANS_UNDER_WAY ? hans_undo(&hans) : core;
}

int stream_rebaseline(const struct message_rebaseline *wanted)
{
    int core = HANS_OK;

    if (stream.status != HANS_OK) {
        return stream.status;
    }
    if (wanted->token != stream.token) {
        core = rebaseline(wanted->windows);
    }
    if (core != HANS_OK) {
        return core;
    }
    stream.token = wanted->token;
    if (stream.mode == MODE_RUN) {
        kept_baseline(&hans, stream.token);
    }
    return HANS_OK;
}

int stream_baseline(struct message_baseline *told)
{
    struct hans_baseline found;
    const int core = stream.status != HANS_OK ? stream.status : hans_baseline(&hans, &found);

    if (core == HANS_OK) {
        *told = (struct message_baseline){
            .token = stream.token,
            .revision = found.revision,
            .gathered = found.gathered,
            .wanted = found.wanted,
            .change = found.change,
            .reach = HANS_DETECTOR_MODEL.alarm->reach,
            .outcome = found.outcome,
            .state = last_state,
        };
    }
    return core;
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
