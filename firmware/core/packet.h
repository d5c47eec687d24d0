/*
 * Packets on a serial line (SPEC.md section 10): a frame, its CRC-32, COBS, a zero. Pure: no port, no state but the
 * caller's.
 *
 * Sending: put `size` bytes at room + HANS_PACKET_LEAD, call hans_packet_seal, send what it returns.
 * Receiving: hand every byte to hans_packet_take; when it returns a size, the frame lies in the decoder's room.
 */
#ifndef HANS_PACKET_H_
#define HANS_PACKET_H_

#include <stddef.h>
#include <stdint.h>

#include "crc.h"

#define HANS_CRC_BYTES 4
#define HANS_PACKET_LARGEST 1040u /* bytes of a frame with its CRC that a room may hold */

/* COBS grows by one byte, and by one more for each full 254: bytes that the frame is shifted by while it is encoded in
 * place. */
#define HANS_PACKET_LEAD 6

/* Room for a frame of `size` bytes while it is sealed: lead, frame, CRC, delimiter. */
#define HANS_PACKET_ROOM(size) ((size_t)(size) + HANS_PACKET_LEAD + HANS_CRC_BYTES + 1)

/* Incremental decoder over the caller's room. Set room and size, the rest to 0; callers read `fill` no further than
 * hans_packet_take tells them. */
struct hans_decoder {
    uint8_t *room;    /* decoded bytes of the frame under way */
    uint16_t size;    /* of room */
    uint16_t fill;    /* decoded bytes so far */
    uint8_t left;     /* bytes of the current COBS block still to come */
    uint8_t zero;     /* a zero belongs before the next block */
    uint8_t started;  /* a byte has come since the last delimiter */
    uint8_t overflow; /* the frame did not fit: skip to the next delimiter */
};

#define HANS_PACKET_BROKEN (-1) /* a damaged or oversized frame was dropped */

/* COBS without delimiter; returns bytes written, at most size + 1 + size / 254. `out` may lie in front of `in` in the
 * same room, by at least 1 + size / 254 bytes. */
size_t hans_cobs_encode(uint8_t *out, const uint8_t *in, size_t size);

/* Append the CRC to the `size` bytes at room + HANS_PACKET_LEAD, encode in place, end with a zero. Returns the number of
 * bytes to send, from room[0]. `size` + HANS_CRC_BYTES is at most HANS_PACKET_LARGEST. */
size_t hans_packet_seal(uint8_t *room, size_t size);

/* One received byte. Returns the size of a complete frame without its CRC, 0 if there is none yet, or
 * HANS_PACKET_BROKEN. Delimiters without a frame are ignored. */
int hans_packet_take(struct hans_decoder *decoder, uint8_t byte);

#endif
