/*
 * A whole stream through the packet decoder, and the same stream read as SPEC.md section 10.1 says it, segment by
 * segment, with nothing of the decoder's. Both write their answers one after the other: int32 size (as the machine
 * has it) and the frame without its CRC; -1 alone for what was no sound frame. `largest` is a frame with its CRC.
 */
#ifndef PACKET_STREAM_H_
#define PACKET_STREAM_H_

#include <stddef.h>
#include <stdint.h>

/* No answer is longer than twice the bytes that it is made of. */
#define ANSWERS_ROOM(size) (2 * (size) + 8)

/* Both return the bytes written. */
size_t packet_stream(const uint8_t *wire, size_t size, size_t largest, uint8_t *answers);
size_t packet_plain(const uint8_t *wire, size_t size, size_t largest, uint8_t *answers);

#endif
