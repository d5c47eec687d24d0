#include "packet.h"

#include "crc.h"

#define SMALLEST_FRAME 2 /* type and sequence number */
#define FULL_BLOCK 0xFFu /* a COBS code: 254 bytes, and no zero after them */

/* 1 + size / 254 for every frame that HANS_PACKET_LARGEST allows. */
typedef char lead_is_enough[1 + HANS_PACKET_LARGEST / 254 <= HANS_PACKET_LEAD ? 1 : -1];

size_t hans_cobs_encode(uint8_t *out, const uint8_t *in, size_t size)
{
    size_t code = 0; /* where the current block's code belongs */
    size_t end = 1;
    size_t i;

    for (i = 0; i < size; i++) {
        if (end - code == FULL_BLOCK) {
            out[code] = FULL_BLOCK;
            code = end++;
        }
        if (in[i] != 0) {
            out[end++] = in[i];
        } else {
            out[code] = (uint8_t)(end - code);
            code = end++;
        }
    }
    out[code] = (uint8_t)(end - code);
    return end;
}

size_t hans_packet_seal(uint8_t *room, size_t size)
{
    uint8_t *frame = room + HANS_PACKET_LEAD;
    uint32_t crc = hans_crc32(0, frame, size);
    size_t i;

    for (i = 0; i < HANS_CRC_BYTES; i++) {
        frame[size++] = (uint8_t)(crc >> (8 * i));
    }
    size = hans_cobs_encode(room, frame, size);
    room[size++] = 0;
    return size;
}

static void put(struct hans_decoder *decoder, uint8_t byte)
{
    if (decoder->fill < decoder->size) {
        decoder->room[decoder->fill++] = byte;
    } else {
        decoder->overflow = 1;
    }
}

/* The size of a sound frame without its CRC, 0 if nothing came at all, or HANS_PACKET_BROKEN. */
static int judge(const struct hans_decoder *decoder)
{
    const uint8_t *crc;
    size_t size = decoder->fill;

    if (!decoder->started) {
        return 0;
    }
    if (decoder->overflow || decoder->left > 0 || size < SMALLEST_FRAME + HANS_CRC_BYTES) {
        return HANS_PACKET_BROKEN;
    }
    size -= HANS_CRC_BYTES;
    crc = decoder->room + size;
    if (hans_crc32(0, decoder->room, size) !=
        ((uint32_t)crc[0] | (uint32_t)crc[1] << 8 | (uint32_t)crc[2] << 16 | (uint32_t)crc[3] << 24)) {
        return HANS_PACKET_BROKEN;
    }
    return (int)size;
}

int hans_packet_take(struct hans_decoder *decoder, uint8_t byte)
{
    if (byte == 0) {
        int size = judge(decoder);
        decoder->fill = 0;
        decoder->left = decoder->zero = decoder->started = decoder->overflow = 0;
        return size;
    }
    decoder->started = 1;
    if (decoder->left > 0) {
        decoder->left--;
        put(decoder, byte);
        return 0;
    }
    if (decoder->zero) {
        put(decoder, 0);
    }
    decoder->left = (uint8_t)(byte - 1);
    decoder->zero = byte != FULL_BLOCK;
    return 0;
}
