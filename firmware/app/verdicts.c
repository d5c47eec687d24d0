#include "verdicts.h"

#include <string.h>

#define LEAST_BODY 256 /* bytes that every board's body_max allows */

static uint8_t kept[LEAST_BODY - sizeof(struct message_verdicts)]; /* VERDICT bodies, the oldest first */
static struct message_verdicts told;

void verdicts_forget(void)
{
    told = (struct message_verdicts){.size = 0};
}

void verdicts_keep(const struct message_verdict *verdict, const int16_t *mean, size_t size, int sent)
{
    const size_t whole = sizeof *verdict + size;
    uint8_t *place;

    if ((told.count + 1) * whole > sizeof kept) {
        told.count--;
        memmove(kept, kept + whole, told.count * whole);
    }
    place = kept + told.count * whole;
    memcpy(place, verdict, sizeof *verdict);
    memcpy(place + sizeof *verdict, mean, size);
    told.size = (uint16_t)whole;
    told.count++;
    told.windows++;
    told.unsent += !sent;
}

struct message_verdicts verdicts_told(const uint8_t **tail)
{
    *tail = kept;
    return told;
}
