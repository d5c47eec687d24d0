/*
 * What each stage of the core costs on this board: the application of `make bench`. On an emulator that counts, a tick
 * follows the instructions. Whoever sends a byte gets lines of `name ticks`, ended by a zero.
 *
 * Each region begins just after a tick, so that the tick's interrupt is in none but those longer than its period, and as
 * often in each run; of a few runs the smallest count is taken. The longer ones the host scales by `long`, a loop of known length that is interrupted just as often.
 */
#include <string.h>

#include "core.h"
#include "detector.h"
#include "port.h"

#define SPEC HANS_DETECTOR_SPEC
#define RUNS 3
#define SHORT_LOOP 1000UL    /* rounds of two instructions */
#define LONG_LOOP 1000000UL

extern const int16_t hans_waveform[];
extern const uint32_t hans_waveform_frames;

static uint64_t work[HANS_DETECTOR_WORDS];
static struct hans hans;
static struct hans_verdict verdict;

void app_tick(void)
{
}

static void await_listener(void)
{
    uint8_t byte;

    while (port_read(&byte, 1) == 0) {
        port_sleep();
    }
    while (port_read(&byte, 1) > 0) {
        /* nothing may wait: port_sleep() would not sleep */
    }
}

static void say(const char *name, uint32_t number)
{
    char digits[10];
    uint8_t count = 0;

    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    port_write((const uint8_t *)name, strlen(name));
    port_write((const uint8_t *)" ", 1);
    while (count) {
        port_write((const uint8_t *)&digits[--count], 1);
    }
    port_write((const uint8_t *)"\n", 1);
}

static void spin(uint32_t rounds)
{
#if defined(__arm__)
    __asm__ volatile("1: subs %0, %0, #1\n\tbne 1b" : "+l"(rounds) : : "cc");
#elif defined(__riscv)
    __asm__ volatile("1: addi %0, %0, -1\n\tbnez %0, 1b" : "+r"(rounds));
#else
#error "write a loop of two instructions for this processor"
#endif
}

/* The samples of a window: the stored waveform, over and over. */
static void push_window(void)
{
    for (uint32_t rest = SPEC.window, some; rest > 0; rest -= some) {
        some = rest < hans_waveform_frames ? rest : hans_waveform_frames;
        hans_push(&hans, hans_waveform, some);
    }
}

static void take_window(void)
{
    push_window();
    hans_poll(&hans, &verdict);
}

/* A macro, for a call through a pointer would have to be followed by the analysis of the stack. */
#define MEASURE(name, region)                                                                                          \
    do {                                                                                                               \
        uint32_t least = UINT32_MAX;                                                                                   \
        for (uint8_t run = 0; run < RUNS; run++) {                                                                     \
            uint32_t before, ticks;                                                                                    \
            port_sleep();                                                                                              \
            before = port_ticks();                                                                                     \
            region;                                                                                                    \
            ticks = port_ticks() - before;                                                                             \
            least = ticks < least ? ticks : least;                                                                     \
        }                                                                                                              \
        say(name, least);                                                                                              \
    } while (0)

int main(void)
{
    const struct hans_frame *frame = &SPEC.frame[0];

    port_init();
    hans_init(&hans, &SPEC, &HANS_DETECTOR_MODEL, work, sizeof work);
    await_listener();
    MEASURE("empty", (void)0);
    MEASURE("short", spin(SHORT_LOOP));
    MEASURE("long", spin(LONG_LOOP));
    push_window(); /* not polled: its sums wait for the features, the model for these */
    MEASURE("features", hans_collect(&hans));
    MEASURE("score", HANS_DETECTOR_MODEL.entry(hans.features, hans.parts));
    MEASURE("alarm", hans_adjust(&hans); hans_judge(&hans, &verdict));
    MEASURE("spectrum", hans_spectrum(frame, hans.frame, hans.cells));
    MEASURE("bands", hans_bands(frame, hans.cells, hans.features));
    MEASURE("level", hans_moments_add(hans.level, hans.frame, frame->length / 2));
    hans_restart(&hans);
    MEASURE("window", take_window());
    port_write((const uint8_t *)"", 1);
    for (;;) {
        port_sleep();
    }
}
