/*
 * The serial port: a pty of our own, or a tty that the arguments name. What the line does not take yet waits in a
 * buffer, as in a serial port with one: so a packet once begun is finished, or void because the line has ended.
 */
#define _GNU_SOURCE

#include "native.h"
#include "port.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define TICK_MS 1
#define TICK_NS 1000000
#define REOPEN_NS 100000000 /* between two tries to open a tty that went away */
#define WAITING 4096        /* bytes; more than the longest packet */

const uint32_t port_baud = 0; /* whatever the line is, it sets its own pace */

static int line = -1;
static int here; /* somebody has the other end open, as far as can be known */
static uint8_t waiting[WAITING];
static size_t fill;
static int cut; /* a packet was begun and dropped: what comes next needs a delimiter before it */
static uint64_t reopen_ns;

/* Bytes must pass as they are: no echo, no line editing, no modem lines. */
static int make_raw(int tty)
{
    struct termios settings;

    if (tcgetattr(tty, &settings) < 0) {
        return -1;
    }
    cfmakeraw(&settings);
    settings.c_cflag |= CLOCAL | CREAD;
    return tcsetattr(tty, TCSANOW, &settings);
}

/* Open a tty raw. Returns its descriptor, or -1. */
static int open_raw(const char *name)
{
    int tty = open(name, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

    if (tty >= 0 && make_raw(tty) < 0) {
        close(tty);
        return -1;
    }
    return tty;
}

/* A pty of our own: `line` is its master. The setting of the other end outlives this opening of it. */
static const char *open_pty(void)
{
    const char *name = NULL;
    int other_end;

    line = posix_openpt(O_RDWR | O_NOCTTY);
    if (line < 0 || grantpt(line) < 0 || unlockpt(line) < 0 || !(name = ptsname(line))) {
        give_up(1, "no pty", strerror(errno));
    }
    other_end = open_raw(name);
    if (other_end < 0 || fcntl(line, F_SETFL, O_NONBLOCK) < 0) {
        give_up(1, name, strerror(errno));
    }
    close(other_end);
    return name;
}

void terminal_open(void)
{
    const char *name = arguments()->port;

    if (!name) {
        name = open_pty();
    } else if ((line = open_raw(name)) < 0) {
        give_up(1, name, strerror(errno));
    }
    here = arguments()->port != NULL;
    printf("%s\n", name);
    fflush(stdout);
}

/* The line has ended: what waits for it is void. A tty must be closed, or it could not go away. */
static void hang_up(void)
{
    here = 0;
    cut |= fill > 0;
    fill = 0;
    if (arguments()->port && line >= 0) {
        close(line);
        line = -1;
        reopen_ns = clock_now() + REOPEN_NS;
    }
}

/* Whether the line is there again. */
static int returned(void)
{
    struct pollfd watched = {.fd = line};

    if (!arguments()->port) {
        return poll(&watched, 1, 0) == 0 || !(watched.revents & (POLLHUP | POLLERR));
    }
    if (clock_now() < reopen_ns) {
        return 0;
    }
    reopen_ns = clock_now() + REOPEN_NS;
    line = open_raw(arguments()->port);
    return line >= 0;
}

/* Wait for the line or the parent, and see whether they are there. */
static void look(short events, int milliseconds)
{
    struct pollfd watched[2] = {{.fd = -1, .events = events}, {.fd = STDIN_FILENO, .events = POLLIN}};
    char byte;

    if (!here && returned()) {
        here = 1;
        fill = cut ? 1 : 0;
        cut = 0;
        waiting[0] = 0;
    }
    watched[0].fd = here ? line : -1; /* a pty without another end never lets poll wait */
    if (poll(watched, 2, milliseconds) <= 0) {
        return;
    }
    if (watched[1].revents && read(STDIN_FILENO, &byte, 1) <= 0) {
        exit(0);
    }
    if (watched[0].revents & (POLLHUP | POLLERR | POLLNVAL)) {
        hang_up();
    }
}

/* Give the line what it takes. */
static void flush(void)
{
    size_t done = 0;

    while (here && done < fill) {
        ssize_t put = write(line, waiting + done, fill - done);

        if (put > 0) {
            done += (size_t)put;
        } else if (errno != EINTR) {
            break; /* full; or it has ended, which look() will see */
        }
    }
    fill -= done;
    memmove(waiting, waiting + done, fill);
}

/* What the tick interrupt of a board does. */
static void tick(void)
{
    static uint64_t due;
    uint64_t now = clock_now();

    if (now >= due) {
        due = now + TICK_NS;
        app_tick();
    }
}

size_t port_read(uint8_t *bytes, size_t size)
{
    ssize_t got;

    tick();
    flush();
    got = line >= 0 ? read(line, bytes, size) : 0;
    return got > 0 ? (size_t)got : 0;
}

void port_write(const uint8_t *bytes, size_t size)
{
    look(0, 0);
    while (here && size > 0) {
        size_t room = WAITING - fill;
        size_t some = size < room ? size : room;

        memcpy(waiting + fill, bytes, some);
        fill += some;
        bytes += some;
        size -= some;
        flush();
        if (fill == WAITING) {
            look(POLLOUT, TICK_MS);
            flush();
        }
        tick();
    }
}

size_t port_room(void)
{
    look(0, 0);
    flush();
    return here ? WAITING - fill : 0;
}

uint32_t port_lost(void)
{
    return 0;
}

void port_sleep(void)
{
    look(fill > 0 ? POLLIN | POLLOUT : POLLIN, TICK_MS);
    flush();
    tick();
}
