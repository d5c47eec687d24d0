/*
 * CRC-32 of IEEE 802.3 (zlib's): of packets, and of what the alarm logic remembers.
 */
#ifndef HANS_CRC_H_
#define HANS_CRC_H_

#include <stddef.h>
#include <stdint.h>

/* `crc` is 0 at the start, or the value over the bytes before. */
uint32_t hans_crc32(uint32_t crc, const void *bytes, size_t size);

#endif
