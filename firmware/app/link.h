/*
 * Packets over the board's serial port (SPEC.md section 10).
 */
#ifndef LINK_H_
#define LINK_H_

#include <stddef.h>
#include <stdint.h>

#ifndef HANS_BODY_MAX
#define HANS_BODY_MAX 256 /* bytes; boards.toml has each board's */
#endif

#ifndef HANS_CAPTURE_BYTES
#define HANS_CAPTURE_BYTES 4096 /* least ring of a capture; boards.toml has each board's */
#endif

/* SAMPLES packets that a host may have under way: one that is worked on, one that the port's buffer holds meanwhile. */
#define LINK_CREDITS 2

#define LINK_FRAME (2 + HANS_BODY_MAX)

/* A received frame. `body` is aligned to 2 bytes and lives until the next link_take. */
struct link_packet {
    uint8_t type;
    uint8_t seq;
    uint16_t size; /* of body */
    uint8_t *body; /* HANS_BODY_MAX bytes, writable */
};

enum link_status { LINK_NONE, LINK_PACKET, LINK_HELLO };

/* The next packet that has arrived, or LINK_HELLO for `?` and a line end. Never waits. */
enum link_status link_take(struct link_packet *packet);

/* Damaged packets dropped since power-on. */
uint32_t link_broken(void);

/* Whether the port takes the largest packet now, without waiting for a reader. */
int link_room(void);

/* Send a packet: `head`, then `tail`, together at most HANS_BODY_MAX bytes. Waits for the port. */
void link_send(uint8_t type, uint8_t seq, const void *head, size_t head_size, const void *tail, size_t tail_size);

/* The same with the next sequence number of events. */
void link_event(uint8_t type, const void *head, size_t head_size, const void *tail, size_t tail_size);

#endif
