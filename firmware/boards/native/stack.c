/*
 * How deep this process's stack has been, the C library's part of it included: below port_init's frame, and to DEPTH
 * bytes. The operating system gives more than that, and promises no number.
 */
#include "../paint.h"
#include "native.h"
#include "port.h"

#define DEPTH 65536u

static uintptr_t lowest;

/* Without the sanitizer: it would call the array gone when it is looked at. */
__attribute__((noinline, no_sanitize_address)) void stack_paint(void)
{
    volatile uint32_t room[DEPTH / sizeof(uint32_t)];

    for (uint32_t i = 0; i < DEPTH / sizeof *room; i++) {
        room[i] = PAINT;
    }
    lowest = (uintptr_t)room;
}

__attribute__((no_sanitize_address)) void port_stack(uint32_t *bytes, uint32_t *used)
{
    *bytes = 0;
    *used = DEPTH - paint_left((const volatile uint32_t *)lowest, DEPTH);
}
