/*
 * The firmware as a process of Linux or another POSIX system. Its serial port is a pty that it opens itself; the name of
 * the other end is the first line on standard output. It ends when standard input does, so none outlives its parent.
 */
#define _GNU_SOURCE

#include "port.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define TICK_MS 1
#define FILES 4

const char port_board[] = "native";
const uint32_t port_tick_hz = 1000000000;
const uint32_t port_baud = 0;

static int terminal = -1;
static FILE *files[FILES];

static void give_up(const char *what)
{
    perror(what);
    exit(1);
}

/* Bytes must pass as they are: no echo, no line editing. The setting outlives this opening of the other end. */
static void make_raw(const char *name)
{
    struct termios settings;
    int other_end = open(name, O_RDWR | O_NOCTTY);

    if (other_end < 0 || tcgetattr(other_end, &settings) < 0) {
        give_up(name);
    }
    cfmakeraw(&settings);
    if (tcsetattr(other_end, TCSANOW, &settings) < 0) {
        give_up(name);
    }
    close(other_end);
}

void port_init(void)
{
    const char *name = NULL;

    terminal = posix_openpt(O_RDWR | O_NOCTTY);
    if (terminal < 0 || grantpt(terminal) < 0 || unlockpt(terminal) < 0 || !(name = ptsname(terminal))) {
        give_up("no pty");
    }
    make_raw(name);
    if (fcntl(terminal, F_SETFL, O_NONBLOCK) < 0) {
        give_up(name);
    }
    printf("%s\n", name);
    fflush(stdout);
}

/* Wait for the terminal or the parent. Returns 1 if somebody has the other end open. */
static int wait_for(short events, int milliseconds)
{
    struct pollfd watched[2] = {{.fd = terminal, .events = events}, {.fd = STDIN_FILENO, .events = POLLIN}};
    char byte;

    if (poll(watched, 2, milliseconds) > 0 && watched[1].revents && read(STDIN_FILENO, &byte, 1) <= 0) {
        exit(0);
    }
    return !(watched[0].revents & (POLLHUP | POLLERR));
}

size_t port_read(uint8_t *bytes, size_t size)
{
    ssize_t got = read(terminal, bytes, size);
    return got > 0 ? (size_t)got : 0;
}

/* Like a wire: what nobody reads at the other end is lost only while nobody is there. */
void port_write(const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        ssize_t put = write(terminal, bytes, size);
        if (put > 0) {
            bytes += put;
            size -= (size_t)put;
        } else if (put < 0 && errno != EAGAIN && errno != EINTR) {
            return;
        } else if (!wait_for(POLLOUT, 100)) {
            return;
        }
    }
}

size_t port_room(void)
{
    struct pollfd watched = {.fd = terminal, .events = POLLOUT};
    return poll(&watched, 1, 0) > 0 && watched.revents == POLLOUT ? SIZE_MAX : 0;
}

uint32_t port_lost(void)
{
    return 0;
}

void port_sleep(void)
{
    if (!wait_for(POLLIN, TICK_MS)) {
        struct timespec tick = {.tv_nsec = TICK_MS * 1000000L}; /* a pty without another end never lets poll wait */
        nanosleep(&tick, NULL);
    }
    app_tick();
}

uint32_t port_ticks(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)((uint64_t)now.tv_sec * port_tick_hz + (uint64_t)now.tv_nsec);
}

void port_serial(char text[17])
{
    memcpy(text, "0000000000000000", 17);
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
