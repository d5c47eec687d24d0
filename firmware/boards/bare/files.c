/*
 * Files of the host, through a debugger or emulator: operations SYS_OPEN, SYS_CLOSE and SYS_READ of Arm's "Semihosting
 * for AArch32 and AArch64", which "RISC-V Semihosting" takes over. Every operation gives -1 on failure.
 */
#include "../../app/port.h"
#include "bare.h"

enum { SYS_OPEN = 0x01, SYS_CLOSE = 0x02, SYS_READ = 0x06, MODE_READ_BINARY = 1 };

int port_file_open(const char *path)
{
    uintptr_t length = 0;
    while (path[length] != '\0')
        length++;
    const uintptr_t block[3] = {(uintptr_t)path, MODE_READ_BINARY, length};
    return (int)semihosting(SYS_OPEN, block);
}

/* SYS_READ tells how many bytes it did not read. */
long port_file_read(int file, void *bytes, size_t size)
{
    const uintptr_t block[3] = {(uintptr_t)file, (uintptr_t)bytes, size};
    int32_t left = semihosting(SYS_READ, block);
    if (left < 0 || (uint32_t)left > size)
        return -1;
    return (long)(size - (size_t)left);
}

void port_file_close(int file)
{
    const uintptr_t block[1] = {(uintptr_t)file};
    (void)semihosting(SYS_CLOSE, block);
}
