/*
 * The stored record is a file, --store. A new one is written beside it, flushed to the disk and renamed, so that whatever
 * ends this process or the power, there is the new one or the one before.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "native.h"
#include "port.h"

static char fresh[4096]; /* path of the new one */

/* Bytes of a record that can be had, up to `size`, and of all that is there. */
static long take(int file, uint8_t *bytes, size_t size)
{
    const off_t all = lseek(file, 0, SEEK_END);
    size_t fill = 0;

    if (all < 0 || lseek(file, 0, SEEK_SET) < 0) {
        return -1;
    }
    while (fill < size) {
        const ssize_t got = read(file, bytes + fill, size - fill);
        if (got < 0 && errno != EINTR) {
            return -1;
        }
        if (got == 0) {
            break;
        }
        fill += got > 0 ? (size_t)got : 0;
    }
    return (long)all;
}

long port_store_read(void *bytes, size_t size)
{
    const char *path = arguments()->store;
    int file;
    long all;

    if (!path) {
        return PORT_STORE_NONE;
    }
    file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return errno == ENOENT ? 0 : PORT_STORE_UNREADABLE;
    }
    all = take(file, bytes, size);
    close(file);
    return all < 0 ? PORT_STORE_UNREADABLE : all;
}

/* As PATH.old: it may be another detector's, or no record at all. */
void port_store_aside(void)
{
    const char *path = arguments()->store;

    if (path && snprintf(fresh, sizeof fresh, "%s.old", path) < (int)sizeof fresh) {
        unlink(fresh);
        (void)!link(path, fresh); /* a folder has none, and no write replaces it */
    }
}

static int put(int file, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        const ssize_t done = write(file, bytes, size);
        if (done < 0 && errno != EINTR) {
            return -1;
        }
        bytes += done > 0 ? done : 0;
        size -= done > 0 ? (size_t)done : 0;
    }
    return fsync(file);
}

int port_store_write(const void *bytes, size_t size)
{
    const char *path = arguments()->store;
    int file, failed;

    if (!path || snprintf(fresh, sizeof fresh, "%s.new", path) >= (int)sizeof fresh) {
        return -1;
    }
    file = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file < 0) {
        return -1;
    }
    failed = put(file, bytes, size);
    return close(file) < 0 || failed || rename(fresh, path) < 0 ? -1 : 0;
}
