/*
 * A pump's controller. It has work of its own, here a pressure regulator, and an ear beside it: the detector is called
 * from this loop, and speaks only when a host asks.
 */
#include <stdint.h>

#include "detector.h"
#include "ear.h"
#include "uart.h"

static volatile uint32_t valve; /* stands for the actuator's register */

/* One step of the regulator. */
static void regulate(uint32_t turn)
{
    valve += (turn & 0xFFu) < 0x80u ? 1u : UINT32_MAX;
}

/* Stands for the accelerometer: a slow saw-tooth, the same on all channels. Returns sample frames, at times none. */
static size_t accelerometer(int16_t *samples, uint32_t turn)
{
    if (turn % 16 != 0)
        return 0;
    for (uint8_t channel = 0; channel < HANS_DETECTOR_SPEC.channels; channel++)
        samples[channel] = (int16_t)(turn / 16 % 2048);
    return 1;
}

int main(void)
{
    int16_t samples[HANS_MAX_CHANNELS];
    uint8_t byte;

    uart_init();
    (void)ear_init();
    for (uint32_t turn = 0;; turn++) {
        regulate(turn);
        if (ear_listen(samples, accelerometer(samples, turn)) == HANS_STATE_ALARM)
            valve = 0;
        while (uart_take(&byte))
            ear_byte(byte);
    }
}
