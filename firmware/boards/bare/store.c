/*
 * What outlives a reset. Flash for it differs from part to part: a board that has some defines both functions in its own
 * folder. Else, built with -DHANS_STORE="PATH", the record is a file of the host, through a debugger or emulator (see
 * files.c); it is written beside its place and then renamed. Else there is no storage.
 */
#include "../../app/port.h"
#include "bare.h"

#ifndef HANS_STORE
#define HANS_STORE ""
#endif

enum {
    SYS_OPEN = 0x01,
    SYS_CLOSE = 0x02,
    SYS_WRITE = 0x05,
    SYS_FLEN = 0x0C,
    SYS_RENAME = 0x0F,
    MODE_WRITE_BINARY = 5
};

static const char place[] = HANS_STORE, fresh[] = HANS_STORE ".new";
static const int there = sizeof place > 1;

/* Without a debugger it looks as if nothing were stored; writing fails then. */
__attribute__((weak)) long port_store_read(void *bytes, size_t size)
{
    if (!there)
        return PORT_STORE_NONE;
    const int file = port_file_open(place);
    const uintptr_t block[1] = {(uintptr_t)file};
    if (file < 0)
        return 0;
    const long all = semihosting(SYS_FLEN, block);
    const long got = port_file_read(file, bytes, size);
    port_file_close(file);
    return got < 0 || (all <= (long)size && got != all) ? PORT_STORE_UNREADABLE : all;
}

/* Not here: a debugger's file has no second name. */
__attribute__((weak)) void port_store_aside(void)
{
}

/* SYS_WRITE tells how many bytes it did not write. */
__attribute__((weak)) int port_store_write(const void *bytes, size_t size)
{
    if (!there)
        return -1;
    const uintptr_t name[3] = {(uintptr_t)fresh, MODE_WRITE_BINARY, sizeof fresh - 1};
    const uintptr_t names[4] = {(uintptr_t)fresh, sizeof fresh - 1, (uintptr_t)place, sizeof place - 1};
    const int32_t file = semihosting(SYS_OPEN, name);
    const uintptr_t data[3] = {(uintptr_t)file, (uintptr_t)bytes, size};
    if (file < 0)
        return -1;
    const int32_t left = semihosting(SYS_WRITE, data);
    const int32_t closed = semihosting(SYS_CLOSE, data);
    return left != 0 || closed != 0 || semihosting(SYS_RENAME, names) != 0 ? -1 : 0;
}
