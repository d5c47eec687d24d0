/* Chapters "Universal synchronous asynchronous receiver transmitter (USART)" and "Device electronic signature". */
#include "stm32.h"

#include "../../app/port.h"
#include "../cortex_m/cortex_m.h"

enum {
    USART1_INTERRUPT = 37, /* both manuals, chapter "Interrupts and events", vector table */
    PATIENCE = 10000 /* rounds of a wait: some ms at 8 MHz; a PLL locks within 0.3 ms (data sheets) */
};

/* USART_SR, _DR, _BRR, _CR1 */
enum { SR = 0x00, DR = 0x04, BRR = 0x08, CR1 = 0x0C };
enum { SR_ORE = 1 << 3, SR_RXNE = 1 << 5, SR_TXE = 1 << 7 };
enum { CR1_RE = 1 << 2, CR1_TE = 1 << 3, CR1_RXNEIE = 1 << 5, CR1_UE = 1 << 13 };

#define USART1(offset) REGISTER(stm32.usart1 + (uintptr_t)(offset))

const uint32_t port_baud = 115200;

void USART1_IRQHandler(void);

/* Position n holds interrupt n; only what is enabled is filled, so nothing else can be taken. */
CORTEX_M_INTERRUPTS stm32_interrupts[USART1_INTERRUPT + 1] = {[USART1_INTERRUPT] = USART1_IRQHandler};

int stm32_is_whole(void)
{
    return (REGISTER(stm32.rcc) & 1u << 1) != 0;
}

void stm32_wait(const volatile uint32_t *address, uint32_t mask, uint32_t value)
{
    for (int round = 0; round < PATIENCE && (*address & mask) != value; round++)
        ;
}

/* With 16-fold oversampling BRR is the bus's clock over the rate ("Fractional baud rate generation"), rounded. */
void stm32_start_serial(uint32_t clock_hz)
{
    USART1(BRR) = (clock_hz + port_baud / 2u) / port_baud;
    USART1(CR1) = CR1_UE | CR1_TE | CR1_RE | CR1_RXNEIE;
    serial_resume();
}

/* Reading SR and then DR clears ORE as well; DR then holds the byte before those lost. */
void USART1_IRQHandler(void)
{
    if (receive_full()) {
        cortex_m_disable(USART1_INTERRUPT);
        return;
    }
    uint32_t status = USART1(SR);
    if (status & SR_ORE)
        receive_lost();
    uint8_t byte = (uint8_t)USART1(DR);
    if (status & SR_RXNE)
        receive_put(byte);
}

void serial_resume(void)
{
    cortex_m_enable(USART1_INTERRUPT);
}

void port_write(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        while (!(USART1(SR) & SR_TXE))
            ;
        USART1(DR) = bytes[i];
    }
}

/* 96 bits into 64 as ST's own USB examples do: the first and the last word added. The emulator has no unique number, and
 * faults where it should be. */
void port_serial(char text[17])
{
    uint32_t high = 0, low = 0;
    if (stm32_is_whole()) {
        high = REGISTER(stm32.unique) + REGISTER(stm32.unique + 8u);
        low = REGISTER(stm32.unique + 4u);
    }
    cortex_m_hex(high, low, text);
}
