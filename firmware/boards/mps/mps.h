/*
 * Arm's FPGA prototyping boards MPS2+ and MPS3: what their images (AN385, AN500, AN505, AN547) share is the APB UART of
 * the Cortex-M System Design Kit, "CMSDK" (DDI 0479). No chip of this kind is sold: each port follows its application
 * note and is run on QEMU's model of it. The images need no clocks or pins to be set, and have no unique number.
 */
#ifndef MPS_H_
#define MPS_H_

#include <stdint.h>

/* The image's: UART0, its clock and the number of its receive interrupt. */
struct mps_uart {
    uintptr_t base;
    uint32_t clock_hz;
    unsigned interrupt;
};
extern const struct mps_uart mps_uart;

/* The handler of that interrupt, for the image's vectors. */
void mps_receive(void);

#endif
