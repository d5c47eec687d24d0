/*
 * How deep a stack has been, for port_stack(). Its memory is painted before it is used; what has kept its paint, counted from the far end,
 * was never reached. A word that was taken and never written counts as not reached, if nothing deeper was.
 */
#ifndef PAINT_H_
#define PAINT_H_

#include <stdint.h>

#define PAINT 0xA5A5A5A5 /* of a word: no address, no small number */

/* Bytes, of `bytes` from `lowest` on, that have kept their paint without a gap. */
static inline uint32_t paint_left(const volatile uint32_t *lowest, uint32_t bytes)
{
    uint32_t left = 0;

    while (left + sizeof *lowest <= bytes && lowest[left / sizeof *lowest] == PAINT) {
        left += (uint32_t)sizeof *lowest;
    }
    return left;
}

#endif
