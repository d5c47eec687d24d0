/*
 * The stack that the linker reserves. Thread mode and interrupts share it, so the mark is that of both; the start-up
 * paints all of it before it puts anything there.
 */
#include "../../app/port.h"
#include "../paint.h"

extern const uint32_t __stack_start[], __stack_top[]; /* of sections.ld */

void port_stack(uint32_t *bytes, uint32_t *used)
{
    *bytes = (uint32_t)((uintptr_t)__stack_top - (uintptr_t)__stack_start);
    *used = *bytes - paint_left(__stack_start, *bytes);
}
