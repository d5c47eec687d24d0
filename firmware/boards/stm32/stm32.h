/* What the STM32 of the families F1 and F4 share: USART1 and the unique number. Cited by chapter of their
 * reference manuals RM0041 (STM32F100) and RM0090 (STM32F405), which describe the same registers. */
#ifndef STM32_H_
#define STM32_H_

#include <stdint.h>

/* Where the families differ: addresses of RCC_CR, USART1_SR and the unique number. Each board has its own. */
struct stm32 {
    uintptr_t rcc, usart1, unique;
};
extern const struct stm32 stm32;

/* Whether there is a chip round the core: out of reset it runs on the HSI, which RCC_CR tells in bit 1. QEMU's models
 * have the USART and the core's peripherals, but no RCC, PWR, FLASH or GPIO: those read as 0. */
int stm32_is_whole(void);

/* Wait until (*address & mask) == value, at most some milliseconds. */
void stm32_wait(const volatile uint32_t *address, uint32_t mask, uint32_t value);

/* 115200 baud, 8 N 1, with the receive interrupt; clocks and pins are ready. `clock_hz`: the clock of APB2. */
void stm32_start_serial(uint32_t clock_hz);


#endif
