/*
 * What a board gives to the application. The folders of its row in cyberhans/boards.toml implement this header; boards
 * without an operating system share firmware/boards/bare, with the linker script, and their core's folder, with the
 * start-up. Nothing else in the project knows a register.
 */
#ifndef PORT_H_
#define PORT_H_

#include <stddef.h>
#include <stdint.h>

extern const char port_board[];     /* the board's name in cyberhans/boards.toml */
extern const uint32_t port_tick_hz; /* rate of port_ticks() */

/* Of the serial line, 10 bits a byte. 0: it sets no limit of its own, as a pty, or a UART that an emulator gives no
 * pace: then CAPTURE may take a rate that the line does not carry, and what is lost is counted. */
extern const uint32_t port_baud;

/* Clocks, pins, serial port with receive interrupt, tick. Called once, before anything else. */
void port_init(void);

/* Take up to `size` received bytes; returns how many, 0 if none. Never waits. */
size_t port_read(uint8_t *bytes, size_t size);

/* Send `size` bytes; waits until the port has taken them. */
void port_write(const uint8_t *bytes, size_t size);

/* Overruns since port_init: how often the receiver dropped a byte, or several, because nobody took them in time. */
uint32_t port_lost(void);

/* Bytes that port_write would take now without waiting for a reader; SIZE_MAX where the line never waits for one, as a
 * UART; 0 while nobody has the other end open. */
size_t port_room(void);

/* The application's: every port calls it each millisecond or so, from its tick interrupt where there is one. */
void app_tick(void);

/* Sleep until an interrupt: a received byte or the board's tick (every millisecond or so). */
void port_sleep(void);

/* A free-running counter at port_tick_hz, modulo 2^32. On an emulator that counts instructions it follows them. */
uint32_t port_ticks(void);

/* The board's unique number as 16 hexadecimal digits and a NUL. */
void port_serial(char text[17]);

/* Bytes reserved for the stack, 0 where an operating system gives it; and the deepest it has been since power-on, with
 * the interrupts on top of it, 0 where that is not known (boards/paint.h). */
void port_stack(uint32_t *bytes, uint32_t *used);

/* A file of the host, where a debugger or emulator offers one (semihosting): a handle >= 0, or -1 where there is none.
 * Safe on a board without a debugger. */
int port_file_open(const char *path);

/* Read up to `size` bytes; returns how many, 0 at the end, < 0 on an error. */
long port_file_read(int file, void *bytes, size_t size);

void port_file_close(int file);

/* One record that outlives a reset: at power-on up to `size` bytes of what was written last, and how many there are in
 * all, 0 before the first; or one of these. */
enum {
    PORT_STORE_NONE = -1,      /* the port has no storage */
    PORT_STORE_UNREADABLE = -2 /* it has, and something may be there, but it cannot be read */
};
long port_store_read(void *bytes, size_t size);

/* Put `size` bytes in its place. Whatever happens meanwhile, a reader finds all of the new record or all of the one
 * before. Returns 0, or < 0 where the port has no storage or it fails. It may take its time: nothing waits but samples,
 * which the source must hold back. */
int port_store_write(const void *bytes, size_t size);

/* Keep what is stored now aside, where the port can: it was refused, and the next write takes its place. */
void port_store_aside(void);

#endif
