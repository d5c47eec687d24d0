#include "app.h"

#include <string.h>

#include "answer.h"
#include "capture.h"
#include "detector.h"
#include "kept.h"
#include "link.h"
#include "port.h"
#include "source.h"
#include "stream.h"

/* Since the last request. Counted in seconds: where port_ticks counts fast it wraps within a few. */
static uint16_t quiet_s;
static uint32_t quiet_from; /* port_ticks when the second under way began */

static void say(const char *text)
{
    port_write((const uint8_t *)text, strlen(text));
}

static void say_digest(const uint8_t *digest)
{
    static const char digits[] = "0123456789abcdef";
    char text[9];
    uint8_t i;

    for (i = 0; i < 4; i++) {
        text[2 * i] = digits[digest[i] >> 4];
        text[2 * i + 1] = digits[digest[i] & 15];
    }
    text[8] = 0;
    say(text);
}

static const char *doing(void)
{
    const struct stream *stream = stream_state();

    if (stream->mode == MODE_CAPTURE) {
        return "capturing"; /* for which it needs no core */
    }
    if (stream->status != HANS_OK) {
        return hans_error(stream->status);
    }
    return stream->mode == MODE_RUN ? "running" : "host mode";
}

static void say_alarm(void)
{
    static const char *const words[] = {"learning", "normal", "suspicious", "alarm", "idle", "moved", "fault"};
    const struct kept *kept = kept_state();

    if (!HANS_DETECTOR_MODEL.alarm) {
        return;
    }
    say(": ");
    say(words[kept->state]);
    if (kept->storage == STORAGE_REFUSED) {
        say(" (what was stored is unreadable, damaged or another detector's)");
    } else if (kept->storage == STORAGE_FAILED) {
        say(" (storing fails)");
    }
}

/* One line for a person at a terminal. The zero at its end keeps it apart from the next packet. */
static void greet(void)
{
    char serial[17];

    port_serial(serial);
    say("Cyber-Hans " FIRMWARE_VERSION " on ");
    say(port_board);
    say(", serial ");
    say(serial);
    say(", detector ");
    say_digest(HANS_DETECTOR_MODEL.detector);
    say(HANS_DETECTOR_MODEL.flags & HANS_UNCALIBRATED ? " (uncalibrated), " : ", ");
    say(doing());
    if (stream_state()->mode == MODE_RUN && stream_state()->status == HANS_OK) {
        say_alarm();
    }
    port_write((const uint8_t *)"\r\n", 3);
}

void app_init(void)
{
    stream_init();
}

static void end_quiet(void)
{
    quiet_s = 0;
    quiet_from = port_ticks();
}

/* A host that died, or was unplugged, leaves no machine unwatched. */
static void count_quiet(void)
{
    if (stream_state()->mode == MODE_RUN) {
        end_quiet();
    } else if (port_ticks() - quiet_from >= port_tick_hz) {
        quiet_from += port_tick_hz;
        if (++quiet_s == HOST_PATIENCE_S) {
            stream_begin(MODE_RUN, 0, 0);
        }
    }
}

static int listen(void)
{
    struct link_packet packet;

    switch (link_take(&packet)) {
    case LINK_PACKET:
        answer(&packet);
        end_quiet();
        return 1;
    case LINK_HELLO:
        greet();
        return 1;
    default:
        return 0;
    }
}

static int sample(void)
{
    struct source_block block;

    if (stream_state()->mode == MODE_CAPTURE) {
        return capture_send();
    }
    if (stream_state()->mode != MODE_RUN || (block = source_read()).frames == 0) {
        return 0;
    }
    stream_take(block.samples, block.frames);
    return 1;
}

int app_step(void)
{
    int heard = listen();

    count_quiet();
    return sample() || heard;
}

/* In run mode it is the main loop that reads the source. */
void app_tick(void)
{
    if (capture_runs()) {
        capture_take();
    }
}
