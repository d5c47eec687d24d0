/*
 * Drives firmware/app/kept.c with states that no samples need to give, on a port whose storage is the file of argv[1].
 * A command a line from standard input; after power-on and after each it prints a line: tries to write, how many of
 * them succeeded, enum storage, enum state.
 *     windows COUNT STATE STATE ALARMED    windows of run mode, in both states by turns; the reasons of the alarm that is on
 *     fail 0|1                             from now on writing fails, or not
 *     baseline TOKEN                       REBASELINE
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"
#include "detector.h"
#include "kept.h"
#include "port.h"

static struct hans hans;
static uint64_t work[HANS_DETECTOR_WORDS];
static const char *place;
static unsigned tries, written, fails;
static uint32_t token;

long port_store_read(void *bytes, size_t size)
{
    FILE *file = fopen(place, "rb");
    long got = file ? (long)fread(bytes, 1, size, file) : 0;

    if (file) {
        fclose(file);
    }
    return got;
}

void port_store_aside(void)
{
}

int port_store_write(const void *bytes, size_t size)
{
    FILE *file;

    tries++;
    if (fails || !(file = fopen(place, "wb"))) {
        return -1;
    }
    written++;
    fwrite(bytes, 1, size, file);
    return fclose(file);
}

static void obey(const char *command)
{
    unsigned count, state[2], alarmed, i;

    if (sscanf(command, "windows %u %u %u %u", &count, &state[0], &state[1], &alarmed) == 4) {
        hans.memory->alarmed = (uint8_t)alarmed;
        for (i = 0; i < count; i++) {
            struct hans_verdict verdict = {.state = (uint8_t)state[i % 2]};
            kept_window(&hans, token, &verdict);
        }
    } else if (sscanf(command, "baseline %u", &count) == 1) {
        token = count;
        kept_baseline(&hans, token);
    } else if (sscanf(command, "fail %u", &fails) != 1) {
        exit(3);
    }
}

static void tell(void)
{
    printf("%u %u %u %u\n", tries, written, kept_state()->storage, kept_state()->state);
}

int main(int count, char **arguments)
{
    char command[80];

    place = count > 1 ? arguments[1] : "";
    if (hans_init(&hans, &HANS_DETECTOR_SPEC, &HANS_DETECTOR_MODEL, work, sizeof work) != HANS_OK) {
        return 3;
    }
    token = kept_load(&hans);
    tell();
    while (fgets(command, sizeof command, stdin)) {
        obey(command);
        tell();
    }
    return 0;
}
