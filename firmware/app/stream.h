/*
 * The stream of samples through the core, and the events that come out of it.
 */
#ifndef STREAM_H_
#define STREAM_H_

#include "hans.h"
#include "messages.h"

struct stream {
    int16_t status;   /* HANS_OK, or the core's error, which stays */
    uint8_t mode;     /* enum mode */
    uint32_t options; /* enum option, or-ed */
    uint32_t window;  /* number of its first window */
    uint32_t next;    /* the expected sample index */
    uint32_t windows; /* verdicts given */
    uint32_t token;   /* of the last REBASELINE; 0: none */
};

/* Prepare the core for the detector that is built in, and begin in run mode. Once. */
void stream_init(void);

/* A new stream, its first window's number `window`, its first sample index window * hop (modulo 2^32). In run mode the
 * sample source feeds it, and the alarm logic goes on where it ended; a host's stream begins as built. Returns HANS_OK or the core's error. */
int stream_begin(enum mode mode, uint32_t options, uint32_t window);

/* Stop the stream and begin a capture instead, whose ring is the core's work memory: until the next stream_begin(). */
void stream_capture(const struct message_capture *wanted);

/* Bytes of that memory. */
size_t stream_work_size(void);

/* Sample frames taken since stream_begin. */
uint32_t stream_frames(void);

/* Begin a re-baselining, stop the one under way, or set the baseline back, as `wanted` says; nothing if it has come
 * before. Not while a capture has the core's memory. Returns HANS_OK or the core's error. */
int stream_rebaseline(const struct message_rebaseline *wanted);

/* How the last re-baselining goes or went; likewise. */
int stream_baseline(struct message_baseline *told);

/* Take `count` sample frames and send every verdict that they complete. Returns HANS_OK or the core's error. */
int stream_take(const int16_t *samples, size_t count);

const struct stream *stream_state(void);

#endif
