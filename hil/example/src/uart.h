/* The serial port of an Arm MPS2 board (image AN385), polled. */
#ifndef UART_H_
#define UART_H_

#include <stddef.h>
#include <stdint.h>

void uart_init(void);

/* Returns 1 and a received byte, or 0 at once. */
int uart_take(uint8_t *byte);

/* Waits until the port has taken all. */
void uart_put(const uint8_t *bytes, size_t size);

#endif
