/*
 * What the alarm logic remembers, as bytes that outlive a reset (SPEC.md section 7.7).
 */
#include <string.h>

#include "core.h"
#include "crc.h"

typedef char no_padding[sizeof(struct hans_memory) == 88 ? 1 : -1];

static size_t memory_size(const struct hans *hans)
{
    return sizeof(struct hans_memory) + (size_t)hans->spec->features * 12;
}

static uint32_t checksum(const void *memory, size_t size)
{
    const size_t skip = sizeof(uint32_t);
    return hans_crc32(0, (const uint8_t *)memory + skip, size - skip);
}

const void *hans_save(struct hans *hans, size_t *size)
{
    if (!hans || !hans->spec || !size || !hans->model || !hans->model->alarm) {
        return NULL;
    }
    *size = memory_size(hans);
    hans->memory->crc = checksum(hans->memory, *size);
    return hans->memory;
}

int hans_resume(struct hans *hans, const void *saved, size_t size)
{
    struct hans_memory head;
    if (!hans || !hans->spec || !saved) {
        return HANS_E_ARGUMENT;
    }
    if (!hans->model || !hans->model->alarm) {
        return HANS_E_ALARM;
    }
    if (size != memory_size(hans)) {
        return HANS_E_SAVED;
    }
    memcpy(&head, saved, sizeof head);
    if (head.crc != checksum(saved, size) || memcmp(head.detector, hans->model->detector, HANS_DIGEST) != 0) {
        return HANS_E_SAVED;
    }
    memmove(hans->memory, saved, size); /* it may be what hans_save gave, and lie there */
    hans->aside = 0;
    return HANS_OK;
}
