/* The CMSDK's APB UART: DDI 0479, chapter "APB components", "APB UART", programmers model. */
#include "mps.h"

#include "../../app/port.h"
#include "../cortex_m/cortex_m.h"
#include "../systick/systick.h"

enum { DATA = 0x000, STATE = 0x004, CTRL = 0x008, INTCLEAR = 0x00C, BAUDDIV = 0x010 };
enum { STATE_TX_FULL = 1, STATE_RX_FULL = 2, STATE_RX_OVERRUN = 8 };
enum { CTRL_TX = 1, CTRL_RX = 2, CTRL_RX_INTERRUPT = 8, INT_RX = 2 };

#define UART(offset) REGISTER(mps_uart.base + (uintptr_t)(offset))

const uint32_t port_baud = 115200;

/* The divider is rounded: 115200 baud within 0.4 % from 20 MHz or more. */
void port_init(void)
{
    systick_start();
    UART(BAUDDIV) = (mps_uart.clock_hz + port_baud / 2) / port_baud;
    UART(CTRL) = CTRL_TX | CTRL_RX | CTRL_RX_INTERRUPT;
    serial_resume();
}

/* The request is withdrawn before the byte is taken, so that the next byte raises it again. An overrun stands in STATE
 * until 1 is written there; it has an interrupt of its own, not used here: it never comes without this one. */
void mps_receive(void)
{
    if (receive_full()) {
        cortex_m_disable(mps_uart.interrupt);
        return;
    }
    UART(INTCLEAR) = INT_RX;
    if (UART(STATE) & STATE_RX_OVERRUN) {
        UART(STATE) = STATE_RX_OVERRUN;
        receive_lost();
    }
    if (UART(STATE) & STATE_RX_FULL)
        receive_put((uint8_t)UART(DATA));
}

void serial_resume(void)
{
    cortex_m_enable(mps_uart.interrupt);
}

void port_write(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        while (UART(STATE) & STATE_TX_FULL)
            ;
        UART(DATA) = bytes[i];
    }
}

void port_serial(char text[17])
{
    cortex_m_hex(0, 0, text);
}
