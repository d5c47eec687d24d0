/*
 * Received bytes on their way from the interrupt to the application. One writer (the interrupt), one reader (the
 * application): each index has one owner, so nothing is locked. A full ring leaves bytes in the receiver, whose
 * interrupt is held back until there is room: an emulator then makes the host wait, and silicon reports an overrun,
 * which is counted.
 */
#include "../../app/port.h"
#include "bare.h"

#define RING_SIZE (2u * HANS_BODY_MAX) /* one packet and most of the next */
#define RING_MASK (RING_SIZE - 1u)

_Static_assert((RING_SIZE & RING_MASK) == 0 && RING_SIZE <= 32768u, "the ring's size is a power of two");

static volatile uint8_t ring[RING_SIZE]; /* so that no byte is read or written on the wrong side of its index */
static volatile uint16_t head; /* bytes ever put, modulo 2^16; owned by the interrupt */
static volatile uint16_t tail; /* bytes ever taken; owned by the application */
static volatile uint32_t lost; /* overruns that the interrupt saw */
static uint32_t lost_seen;     /* overruns that the application saw */

int receive_full(void)
{
    return (uint16_t)(head - tail) == RING_SIZE;
}

int receive_empty(void)
{
    return head == tail;
}

void receive_put(uint8_t byte)
{
    ring[head & RING_MASK] = byte;
    head = (uint16_t)(head + 1u);
}

void receive_lost(void)
{
    lost++;
}

void receive_lost_seen(void)
{
    lost_seen++;
}

size_t port_read(uint8_t *bytes, size_t size)
{
    size_t count = 0;
    while (count < size && head != tail) {
        bytes[count++] = ring[tail & RING_MASK];
        tail = (uint16_t)(tail + 1u);
    }
    if (count > 0)
        serial_resume();
    return count;
}

/* A UART sends whether anybody listens or not. */
size_t port_room(void)
{
    return SIZE_MAX;
}

uint32_t port_lost(void)
{
    return lost + lost_seen;
}
