/*
 * A look inside the core while it works: what its stages cost, and what they gave (SPEC.md sections 9 and 10).
 */
#ifndef WATCH_H_
#define WATCH_H_

#include "hans.h"
#include "messages.h"

/* At the next watch_start: CRCs of every stage of the first window, and bytes from this position. */
void watch_arm(const struct message_trace *position);

/* A new stream begins, at this window. `costs`: count ticks. Taps the core only as far as is asked for. */
void watch_start(struct hans *hans, uint8_t costs, uint32_t window);

/* Around every call of hans_push and hans_poll, so that waiting between them costs nothing. */
void watch_enter(void);
void watch_leave(void);

/* A window is judged: its costs, and begin anew. Ends the trace. */
void watch_window(struct hans *hans, struct message_costs *costs);

/* What the last trace saw, and its `size` dumped bytes. */
const struct message_traced *watch_traced(void);
const uint8_t *watch_dump(uint16_t *size);

#endif
