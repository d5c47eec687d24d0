#include "link.h"

#include <string.h>

#include "packet.h"
#include "port.h"

typedef char body_fits[LINK_FRAME + HANS_CRC_BYTES <= HANS_PACKET_LARGEST ? 1 : -1];

/* As 16-bit words, so that samples in a body can be read where they lie. */
static uint16_t received[(LINK_FRAME + HANS_CRC_BYTES + 1) / 2];
static struct hans_decoder decoder = {.room = (uint8_t *)received, .size = LINK_FRAME + HANS_CRC_BYTES};
static uint8_t sent[HANS_PACKET_ROOM(LINK_FRAME)];
static uint8_t chunk[32];
static uint8_t chunk_next, chunk_end;
static uint8_t after_return; /* a carriage return ended a greeting: its line feed is no packet */
static uint8_t event_seq;
static uint32_t broken;

static int next_byte(uint8_t *byte)
{
    if (chunk_next == chunk_end) {
        chunk_next = 0;
        chunk_end = (uint8_t)port_read(chunk, sizeof chunk);
    }
    if (chunk_next == chunk_end) {
        return 0;
    }
    *byte = chunk[chunk_next++];
    return 1;
}

/* `?` alone looks like the start of a COBS block of 62 bytes; no request type is a line end. */
static int is_greeting(uint8_t byte)
{
    return (byte == '\n' || byte == '\r') && decoder.fill == 0 && decoder.left == '?' - 1;
}

enum link_status link_take(struct link_packet *packet)
{
    uint8_t byte;

    while (next_byte(&byte)) {
        int size;
        uint8_t echo = after_return && byte == '\n';
        after_return = 0;
        if (echo) {
            continue;
        }
        if (is_greeting(byte)) {
            after_return = byte == '\r';
            decoder.left = decoder.zero = decoder.started = 0;
            return LINK_HELLO;
        }
        size = hans_packet_take(&decoder, byte);
        if (size > 0) {
            uint8_t *frame = decoder.room;
            *packet = (struct link_packet){frame[0], frame[1], (uint16_t)(size - 2), frame + 2};
            return LINK_PACKET;
        }
        broken += size < 0;
    }
    return LINK_NONE;
}

uint32_t link_broken(void)
{
    return broken;
}

/* Either part of a body may be absent. */
static uint8_t *append(uint8_t *end, const void *part, size_t size)
{
    if (size > 0) {
        memcpy(end, part, size);
    }
    return end + size;
}

void link_send(uint8_t type, uint8_t seq, const void *head, size_t head_size, const void *tail, size_t tail_size)
{
    uint8_t *frame = sent + HANS_PACKET_LEAD;
    uint8_t *end;

    frame[0] = type;
    frame[1] = seq;
    end = append(append(frame + 2, head, head_size), tail, tail_size);
    port_write(sent, hans_packet_seal(sent, (size_t)(end - frame)));
}

void link_event(uint8_t type, const void *head, size_t head_size, const void *tail, size_t tail_size)
{
    link_send(type, event_seq++, head, head_size, tail, tail_size);
}
