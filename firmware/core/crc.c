#include "crc.h"

/* Remainders of 0 to 15, polynomial 0xEDB88320 (reflected): two steps a byte, 64 bytes of flash. */
static const uint32_t remainders[16] = {
    0x00000000UL, 0x1DB71064UL, 0x3B6E20C8UL, 0x26D930ACUL, 0x76DC4190UL, 0x6B6B51F4UL, 0x4DB26158UL, 0x5005713CUL,
    0xEDB88320UL, 0xF00F9344UL, 0xD6D6A3E8UL, 0xCB61B38CUL, 0x9B64C2B0UL, 0x86D3D2D4UL, 0xA00AE278UL, 0xBDBDF21CUL,
};

uint32_t hans_crc32(uint32_t crc, const void *bytes, size_t size)
{
    const uint8_t *next = bytes;

    crc = ~crc & 0xFFFFFFFFUL;
    while (size-- > 0) {
        crc ^= *next++;
        crc = (crc >> 4) ^ remainders[crc & 15];
        crc = (crc >> 4) ^ remainders[crc & 15];
    }
    return ~crc & 0xFFFFFFFFUL;
}
