#include "link.h"

#include <string.h>

#include "packet.h"
#include "port.h"

typedef char body_fits[LINK_FRAME + HANS_CRC_BYTES <= HANS_PACKET_LARGEST ? 1 : -1];

/*
 * What has come since the last zero or line of text. A packet's second byte, its request type, is below ' ' and no line
 * end: so text of two bytes is no packet, and while only text has come each byte of it may be a packet's first.
 */
enum seen {
    SEEN_NOTHING,
    SEEN_RETURN,   /* nothing, but a line feed still belongs to the line before */
    SEEN_LINE_END, /* of an empty line, or a packet's first byte */
    SEEN_QUESTION, /* `?` */
    SEEN_TEXT,
    SEEN_PACKET
};

/* As 16-bit words, so that samples in a body can be read where they lie. */
static uint16_t received[(LINK_FRAME + HANS_CRC_BYTES + 1) / 2];
static struct hans_decoder decoder = {.room = (uint8_t *)received, .size = LINK_FRAME + HANS_CRC_BYTES};
static uint8_t sent[HANS_PACKET_ROOM(LINK_FRAME)];
static uint8_t chunk[32];
static uint8_t chunk_next, chunk_end;
static enum seen seen;
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

/* What the byte makes of it. */
static enum seen see(enum seen before, uint8_t byte)
{
    int ends = byte == '\n' || byte == '\r';
    int in_line = before == SEEN_QUESTION || before == SEEN_TEXT;

    if (byte == 0) {
        return SEEN_NOTHING;
    }
    if (before == SEEN_PACKET || !(ends || (byte >= ' ' && byte <= '~'))) {
        return SEEN_PACKET;
    }
    if (!ends) {
        return byte == '?' && !in_line ? SEEN_QUESTION : SEEN_TEXT;
    }
    if (in_line || (before == SEEN_RETURN && byte == '\n')) {
        return byte == '\r' ? SEEN_RETURN : SEEN_NOTHING;
    }
    return SEEN_LINE_END;
}

enum link_status link_take(struct link_packet *packet)
{
    uint8_t byte;

    while (next_byte(&byte)) {
        enum seen before = seen;
        int size;

        seen = see(before, byte);
        if (byte != 0 && seen != SEEN_PACKET) {
            hans_packet_take(&decoder, 0); /* the text before this byte was no packet */
        }
        if (byte != 0 && (seen == SEEN_NOTHING || seen == SEEN_RETURN)) {
            if (before == SEEN_QUESTION) {
                return LINK_HELLO;
            }
            continue;
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

int link_room(void)
{
    return port_room() >= HANS_PACKET_ROOM(LINK_FRAME);
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
