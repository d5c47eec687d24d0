/*
 * Capture: the sensor's samples on their way to a host (SPEC.md section 10.5). The tick's interrupt fills a ring of
 * packets, the main loop sends them; each index of the ring has one owner, so nothing is locked.
 */
#ifndef CAPTURE_H_
#define CAPTURE_H_

#include <stddef.h>

#include "messages.h"

/* The largest rate that the sensor has and the line carries with this many channels, at least 1; in 1/1000 Hz. */
uint32_t capture_most_mhz(uint8_t channels);

/* Begin what `wanted` asks for; both its rate and its channels are possible. `room`, aligned to 4 bytes, is the ring's
 * until capture_stop(), and holds one packet or more. */
void capture_begin(const struct message_capture *wanted, void *room, size_t size);

/* End it, if one is under way, and forget what was not sent. */
void capture_stop(void);

/* Let DATA carry sample frames below this index, too. Never less than before. */
void capture_credit(uint32_t until);

/* How far it is. */
struct message_capturing capture_state(void);

/* Send at most one packet. Returns 0 if none may go now. */
int capture_send(void);

/* Whether samples are taken: not before it begins, nor after its last. */
int capture_runs(void);

/* While it runs, from app_tick: take what the sensor has. The core rests meanwhile, so that its stack and this one's
 * are never both needed (cyberhans/stack.py). */
void capture_take(void);

#endif
