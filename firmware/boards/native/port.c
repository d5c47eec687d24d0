/*
 * The firmware as a process of Linux. Its serial port is a pty that it opens itself, or the tty that --port names;
 * the name is the first line on standard output. It ends when standard input does, so none outlives its parent.
 * Arguments: native.h.
 */
#define _GNU_SOURCE

#include "port.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "native.h"

#define FILES 4

const char port_board[] = "native";
const uint32_t port_tick_hz = 1000000000;

static FILE *files[FILES];

void port_init(void)
{
    stack_paint();
    arguments_read();
    source_open();
    terminal_open();
}

uint64_t clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint32_t port_ticks(void)
{
    return (uint32_t)clock_now();
}

void port_serial(char text[17])
{
    memcpy(text, arguments()->serial, 17);
}

int port_file_open(const char *path)
{
    int file;

    for (file = 0; file < FILES; file++) {
        if (!files[file]) {
            files[file] = fopen(path, "rb");
            return files[file] ? file : -1;
        }
    }
    return -1;
}

long port_file_read(int file, void *bytes, size_t size)
{
    size_t got = fread(bytes, 1, size, files[file]);
    return ferror(files[file]) ? -1 : (long)got;
}

void port_file_close(int file)
{
    fclose(files[file]);
    files[file] = NULL;
}
