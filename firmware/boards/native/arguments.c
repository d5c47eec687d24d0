/*
 * The process's arguments, --name value. They are read from /proc, because main() belongs to the application, which
 * knows none; so they need Linux.
 */
#include "native.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { TEXT, COUNT, RATIO, REAL, SERIAL };

struct option {
    const char *name;
    enum kind kind;
    void *place;
    double least, most;
    const char *wants; /* what a person is told who gave something else */
    int plays;         /* goes with --play alone */
};

static struct arguments given = {
    .name = "player",
    .unit = "full-scale",
    .scale_numerator = 1,
    .scale_denominator = 32768,
    .full_scale = 32767,
    .serial = "0000000000000000",
};

static const struct option options[] = {
    {"--port", TEXT, &given.port, 0, 0, "a tty", 0},
    {"--play", TEXT, &given.play, 0, 0, "a file of raw int16", 0},
    {"--channels", COUNT, &given.channels, 1, 64, "1 to 64", 1},
    {"--rate-mhz", COUNT, &given.rate_mhz, 1, UINT32_MAX, "sample frames per second times 1000, 1 to 4294967295", 1},
    {"--scale", RATIO, &given.scale_numerator, 1, UINT32_MAX, "N/D, each 1 to 4294967295", 1},
    {"--unit", TEXT, &given.unit, 0, 0, "a unit", 1},
    {"--full-scale", COUNT, &given.full_scale, 1, 32767, "1 to 32767", 1},
    {"--name", TEXT, &given.name, 0, 0, "a name", 1},
    {"--store", TEXT, &given.store, 0, 0, "a file", 0},
    {"--clock-error", REAL, &given.clock_error, -0.5, 0.5, "a share, -0.5 to 0.5", 0},
    {"--jitter", REAL, &given.jitter, 0, 1, "seconds, 0 to 1", 0},
    {"--serial-number", SERIAL, given.serial, 0, 0, "16 hexadecimal digits", 0},
};
#define OPTIONS (sizeof options / sizeof options[0])

static char line[65536];  /* the whole command line: texts separated by zeros */
static char seen[OPTIONS];

void give_up(int code, const char *what, const char *why)
{
    fprintf(stderr, "firmware: %s: %s\n", what, why);
    exit(code);
}

/* A decimal number from `least` to `most`; what follows it must be `end`. Returns what stands behind `end`, or NULL. */
static const char *count(const struct option *option, const char *text, char end, uint32_t *place)
{
    char *rest;
    unsigned long long value;

    if (*text < '0' || *text > '9') {
        return NULL;
    }
    errno = 0;
    value = strtoull(text, &rest, 10);
    if (errno || *rest != end || value < option->least || value > option->most) {
        return NULL;
    }
    *place = (uint32_t)value;
    return rest + 1;
}

static int real(const struct option *option, const char *text)
{
    char *rest;
    double value = strtod(text, &rest);

    if (rest == text || *rest || !(value >= option->least && value <= option->most)) {
        return 0;
    }
    *(double *)option->place = value;
    return 1;
}

static int take(const struct option *option, const char *text)
{
    switch (option->kind) {
    case TEXT:
        *(const char **)option->place = text;
        return *text != 0;
    case COUNT:
        return count(option, text, 0, option->place) != NULL;
    case RATIO:
        text = count(option, text, '/', &given.scale_numerator);
        return text && count(option, text, 0, &given.scale_denominator) != NULL;
    case REAL:
        return real(option, text);
    default:
        if (strlen(text) != 16 || strspn(text, "0123456789abcdefABCDEF") != 16) {
            return 0;
        }
        memcpy(option->place, text, 17);
        return 1;
    }
}

static size_t find(const char *name)
{
    char known[256] = "no such argument; there are";
    size_t i;

    for (i = 0; i < OPTIONS; i++) {
        if (strcmp(options[i].name, name) == 0) {
            return i;
        }
        strcat(strcat(known, " "), options[i].name);
    }
    give_up(2, name, known);
    return 0;
}

/* Bytes of the command line. */
static size_t fetch(void)
{
    FILE *file = fopen("/proc/self/cmdline", "rb");
    size_t size = file ? fread(line, 1, sizeof line, file) : 0;

    if (file) {
        fclose(file);
    }
    if (size == sizeof line) {
        give_up(2, "arguments", "longer than 65535 bytes; shorten them");
    }
    return size;
}

static void check(void)
{
    size_t i;

    for (i = 0; i < OPTIONS; i++) {
        if (seen[i] && options[i].plays && !given.play) {
            give_up(2, options[i].name, "goes with --play; name a file");
        }
    }
    if (given.play && !(given.channels && given.rate_mhz)) {
        give_up(2, "--play", "needs --channels and --rate-mhz");
    }
}

void arguments_read(void)
{
    const char *end = line + fetch();
    const char *text = line;

    for (text += strlen(text) + 1; text < end; text += strlen(text) + 1) {
        const size_t at = find(text);
        char why[96];

        text += strlen(text) + 1;
        snprintf(why, sizeof why, "%s: give %s", text < end ? "no such value" : "no value", options[at].wants);
        if (text >= end || !take(&options[at], text)) {
            give_up(2, options[at].name, why);
        }
        seen[at] = 1;
    }
    check();
}

const struct arguments *arguments(void)
{
    return &given;
}
