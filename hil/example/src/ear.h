/* The detector of this pump, and how a host tests it over the serial port. */
#ifndef EAR_H_
#define EAR_H_

#include <stddef.h>
#include <stdint.h>

/* Returns HANS_OK or an error of the core, which INFO tells too. */
int ear_init(void);

/* Samples of the accelerometer, `frames` times all its channels. Returns the state after them (enum hans_state). */
int ear_listen(const int16_t *samples, size_t frames);

/* A byte of the serial port. While a host sends samples ear_listen ignores its own. */
void ear_byte(uint8_t byte);

#endif
