/*
 * Streams int16 samples from standard input through the core and prints one line per verdict:
 * window, first, score, anomaly, flags, means, features. Arguments: sample frames per push, and after how many sample
 * frames to restart once (0 = never). SPEC names the spec; with MODEL a small model scores.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hans.h"

extern const struct hans_spec SPEC;

static int32_t entry(const int16_t *features, uint32_t *parts)
{
    parts[0] = (uint32_t)((int32_t)features[0] * features[0]);
    parts[1] = 0xFFFFFFFF;
    return 0;
}

static void print(const struct hans *hans, const struct hans_verdict *v)
{
    printf("%lu %lu %ld", (unsigned long)v->window, (unsigned long)v->first, (long)v->score);
    printf(" %d %d", v->anomaly, v->flags);
    for (int c = 0; c < SPEC.channels; c++) {
        printf(" %d", v->mean[c]);
    }
    for (int i = 0; i < SPEC.features; i++) {
        printf(" %d", hans_features(hans)[i]);
    }
    printf("\n");
}

static void drain(struct hans *hans)
{
    struct hans_verdict verdict;
    while (hans_poll(hans, &verdict) == 1) {
        print(hans, &verdict);
    }
}

static void feed(struct hans *hans, const int16_t *samples, size_t count, size_t chunk)
{
    while (count > 0) {
        size_t some = count < chunk ? count : chunk;
        long used = hans_push(hans, samples, some);
        if (used < 0) {
            exit(3);
        }
        drain(hans);
        samples += (size_t)used * SPEC.channels;
        count -= (size_t)used;
    }
}

int main(int argc, char **argv)
{
    struct hans_model model = {.magic = HANS_MODEL_MAGIC, .interface = HANS_INTERFACE, .kind = HANS_PARTS,
                               .features = SPEC.features, .parts = 2, .flags = HANS_UNCALIBRATED, .entry = entry};
    memcpy(model.spec, SPEC.digest, HANS_DIGEST);
    size_t size = hans_work_size(&SPEC), capacity = (size_t)1 << 26;
    void *work = malloc(size); /* exactly: an access beyond it is found */
    int16_t *samples = malloc(capacity);
    struct hans hans;
    if (argc != 3 || hans_init(&hans, &SPEC, &model, work, size) != HANS_OK) {
        return 2;
    }
    size_t chunk = strtoul(argv[1], NULL, 10), restart = strtoul(argv[2], NULL, 10);
    size_t count = fread(samples, (size_t)2 * SPEC.channels, capacity / 2 / SPEC.channels, stdin);
    feed(&hans, samples, restart, chunk);
    if (restart) {
        hans_restart(&hans);
    }
    feed(&hans, samples + restart * SPEC.channels, count - restart, chunk);
    free(samples);
    free(work);
    return 0;
}
