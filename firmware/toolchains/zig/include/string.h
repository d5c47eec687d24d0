/* The functions of string.h that every C compiler needs, freestanding or not; zig's library has them. */
#ifndef STRING_H_
#define STRING_H_

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
int memcmp(const void *one, const void *other, size_t size);

#endif
