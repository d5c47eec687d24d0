#include "kept.h"

#include <stddef.h>
#include <string.h>

#include "crc.h"
#include "detector.h"
#include "port.h"

#define SPEC HANS_DETECTOR_SPEC

/* As it is stored. */
static struct record {
    uint64_t memory[HANS_DETECTOR_MEMORY_WORDS]; /* what hans_save gave, then zeros */
    uint32_t token;
    uint32_t crc; /* CRC-32 of all before it, set by store() */
} record;
typedef char record_has_no_padding[sizeof record == HANS_DETECTOR_MEMORY_WORDS * 8 + 8 ? 1 : -1];
static uint8_t holds; /* something, since hans_save gave it */
static struct kept told;
static uint8_t begun;            /* enum storage, as it was found at power-on */
static uint8_t alarmed, changed; /* since the last write: an alarm is on; the state is another one */
static uint32_t written;         /* revision that was written last */
static uint32_t windows;         /* since the last write */
static uint8_t aside;            /* what was refused has been kept aside */

static struct hans_baseline baseline_of(const struct hans *hans)
{
    struct hans_baseline found = {0};

    hans_baseline(hans, &found); /* a model without alarm settings leaves it as it is */
    return found;
}

/* What there is to remember into the record. */
static void copy(struct hans *hans, uint32_t token)
{
    size_t size;
    const void *memory = hans_save(hans, &size);

    holds = memory && size <= sizeof record.memory;
    if (holds) {
        memset(record.memory, 0, sizeof record.memory); /* also what was read and refused */
        memcpy(record.memory, memory, size);
        record.token = token;
    }
}

static uint32_t checksum(void)
{
    return hans_crc32(0, &record, offsetof(struct record, crc));
}

static int resume(struct hans *hans)
{
    size_t size;

    return hans_save(hans, &size) && hans_resume(hans, record.memory, size) == HANS_OK;
}

/* What of it was written last, or stored at power-on. */
static void note_stored(const struct hans *hans)
{
    const struct hans_baseline now = baseline_of(hans);

    alarmed = now.alarmed;
    written = told.revision = now.revision;
    windows = changed = 0;
}

/* What fails counts as not written, and is tried again after STORE_SOON_S. */
static void store(struct hans *hans, uint32_t token)
{
    copy(hans, token);
    if (!holds) {
        return;
    }
    record.crc = checksum();
    if (begun == STORAGE_REFUSED && !aside) {
        port_store_aside();
        aside = 1;
    }
    if (port_store_write(&record, sizeof record) < 0) {
        told.storage = STORAGE_FAILED;
        windows = 0;
        changed = 1;
    } else {
        told.storage = begun;
        note_stored(hans);
    }
}

static int passed(uint32_t seconds)
{
    return (uint64_t)windows * SPEC.hop * 1000 >= (uint64_t)seconds * SPEC.rate_mhz;
}

/* Write what a reset must not take away; and seldom the rest, for storage wears out. */
static void consider(struct hans *hans, uint32_t token)
{
    const struct hans_baseline now = baseline_of(hans);
    const int pressing = now.alarmed != alarmed || now.revision != written;

    told.revision = now.revision;
    if (begun == STORAGE_NONE) {
        return;
    }
    if ((pressing && told.storage != STORAGE_FAILED) || passed(changed ? STORE_SOON_S : STORE_LATER_S)) {
        store(hans, token);
    }
}

uint32_t kept_load(struct hans *hans)
{
    const long size = port_store_read(&record, sizeof record);

    if (size == PORT_STORE_NONE) {
        begun = STORAGE_NONE;
    } else if (size == 0) {
        begun = STORAGE_EMPTY;
    } else {
        begun = size == sizeof record && record.crc == checksum() && resume(hans) ? STORAGE_RESUMED : STORAGE_REFUSED;
    }
    told.storage = begun;
    note_stored(hans);
    if (HANS_DETECTOR_MODEL.flags & HANS_UNCALIBRATED) {
        told.state = HANS_STATE_LEARNING; /* whatever is stored */
    } else {
        told.state = alarmed ? HANS_STATE_ALARM : HANS_STATE_NORMAL;
    }
    return begun == STORAGE_RESUMED ? record.token : 0;
}

void kept_put(struct hans *hans, uint32_t token)
{
    changed |= windows > 0;
    consider(hans, token);
    copy(hans, token);
}

uint32_t kept_back(struct hans *hans)
{
    if (!holds || !resume(hans)) {
        hans_reset(hans, HANS_AS_BUILT);
        return 0;
    }
    return record.token;
}

/* Normal for suspicious, too: they come and go by chance, and storage wears out. */
static uint8_t calm(uint8_t state)
{
    return state == HANS_STATE_SUSPICIOUS ? HANS_STATE_NORMAL : state;
}

void kept_window(struct hans *hans, uint32_t token, const struct hans_verdict *verdict)
{
    windows++;
    changed |= calm(verdict->state) != calm(told.state);
    told.state = verdict->state;
    consider(hans, token);
}

void kept_baseline(struct hans *hans, uint32_t token)
{
    changed = 1;
    consider(hans, token);
}

const struct kept *kept_state(void)
{
    return &told;
}
