/* The packet codec as a filter, for tests/test_packet_c.py. Records on standard input: 'e' u32 size, bytes -> the sealed
 * packet; 'd' u32 room, u32 size, bytes -> every frame. Each answer: i32 size (or -1 broken), bytes; a decode ends
 * with i32 0. Every buffer is exactly as large as promised, so that a sanitizer sees one byte too much. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "packet.h"

static void put(int32_t size, const uint8_t *bytes)
{
    fwrite(&size, sizeof size, 1, stdout);
    if (size > 0) {
        fwrite(bytes, 1, (size_t)size, stdout);
    }
}

static uint32_t number(void)
{
    uint32_t value;
    return fread(&value, sizeof value, 1, stdin) == 1 ? value : (exit(2), 0);
}

static uint8_t *bytes(size_t size)
{
    uint8_t *room = malloc(size ? size : 1);
    if (!room || fread(room, 1, size, stdin) != size) {
        exit(3);
    }
    return room;
}

static void encode(void)
{
    uint32_t size = number();
    uint8_t *frame = bytes(size), *room = malloc(HANS_PACKET_ROOM(size));
    memcpy(room + HANS_PACKET_LEAD, frame, size);
    size_t wire = hans_packet_seal(room, size);
    put((int32_t)wire, room);
    free(frame);
    free(room);
}

static void decode(void)
{
    uint32_t room_size = number(), size = number();
    uint8_t *wire = bytes(size), *room = malloc(room_size);
    struct hans_decoder decoder = {.room = room, .size = (uint16_t)room_size};
    for (uint32_t i = 0; i < size; i++) {
        int found = hans_packet_take(&decoder, wire[i]);
        if (found != 0) {
            put(found, room);
        }
    }
    put(0, NULL);
    free(wire);
    free(room);
}

int main(void)
{
    int command;
    while ((command = getchar()) != EOF) {
        command == 'e' ? encode() : decode();
    }
    return 0;
}
