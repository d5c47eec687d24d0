/* What the boards without an operating system share, whatever their core: the receive ring and files of the host. */
#ifndef BARE_H_
#define BARE_H_

#include <stddef.h>
#include <stdint.h>

/* For the start-up's assembly: the number that a macro stands for. */
#define TEXT(macro) TEXT_OF(macro)
#define TEXT_OF(text) #text

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))

/* The receive ring: filled by the board's interrupt, emptied by port_read(). */
int receive_full(void);
int receive_empty(void);
void receive_put(uint8_t byte); /* only when not full */
void receive_lost(void);        /* an overrun: the hardware dropped at least one byte */
void receive_lost_seen(void);   /* the same, seen outside the interrupt */

/* The board's part: let its receive interrupt through again; its handler holds it back when the ring is full. */
void serial_resume(void);

/* The core's part: one operation of a debugger or emulator on the words of `block`; -1 where there is none. */
int32_t semihosting(int32_t operation, const uintptr_t *block);

#endif
