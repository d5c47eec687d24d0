/*
 * What the files of this folder tell each other: the process's arguments, the time, the recording that is played.
 */
#ifndef NATIVE_H_
#define NATIVE_H_

#include <stdint.h>

struct arguments {
    const char *port; /* a tty; NULL: a pty of our own */
    const char *play; /* raw little-endian int16, interleaved; NULL: the image's stored waveform */
    const char *name; /* of the sensor */
    const char *unit;
    uint32_t channels;
    uint32_t rate_mhz;
    uint32_t scale_numerator;
    uint32_t scale_denominator;
    uint32_t full_scale;
    const char *store; /* a file for the state that outlives this process; NULL: none */
    double clock_error; /* the sample clock runs at the rate * (1 + clock_error) of port_ticks */
    double jitter;      /* seconds */
    char serial[17];
};

/* Take them from the command line; a bad one ends the process with one line and exit code 2. */
void arguments_read(void);

const struct arguments *arguments(void);

/* Begin to watch how deep the stack gets, below the caller's frame. */
void stack_paint(void);

/* End the process with one line, "firmware: what: why". */
void give_up(int code, const char *what, const char *why);

/* Nanoseconds of a steady clock. */
uint64_t clock_now(void);

/* Make the recording ready that the arguments name; one that cannot be played ends the process. */
void source_open(void);

/* Open the tty, or a pty of our own, and print the name of what the other side is to open. */
void terminal_open(void);

#endif
