/* The CMSDK's APB UART (Arm DDI 0479, "APB UART", programmers model). */
#include "uart.h"

#define UART(offset) (*(volatile uint32_t *)(0x40004000u + (offset)))

enum { DATA = 0x000, STATE = 0x004, CTRL = 0x008, BAUDDIV = 0x010 };
enum { TX_FULL = 1, RX_FULL = 2, TX_ON = 1, RX_ON = 2 };

void uart_init(void)
{
    UART(BAUDDIV) = 25000000u / 115200u;
    UART(CTRL) = TX_ON | RX_ON;
}

int uart_take(uint8_t *byte)
{
    if (!(UART(STATE) & RX_FULL))
        return 0;
    *byte = (uint8_t)UART(DATA);
    return 1;
}

void uart_put(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        while (UART(STATE) & TX_FULL)
            ;
        UART(DATA) = bytes[i];
    }
}
