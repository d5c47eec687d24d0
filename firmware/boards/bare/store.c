/*
 * No storage, unless a board's folder has these two: flash that outlives a reset differs from part to part.
 */
#include "../../app/port.h"

__attribute__((weak)) long port_store_read(void *bytes, size_t size)
{
    (void)bytes;
    (void)size;
    return -1;
}

__attribute__((weak)) int port_store_write(const void *bytes, size_t size)
{
    (void)bytes;
    (void)size;
    return -1;
}
