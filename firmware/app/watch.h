/*
 * A look inside the core while it works: what its stages cost, and what they gave (SPEC.md sections 9 and 10).
 */
#ifndef WATCH_H_
#define WATCH_H_

#include "hans.h"
#include "messages.h"

/* From the next start in host mode on, until a first window is judged: CRCs of all its stages, and bytes from this
 * position. Ends a trace under way. */
void watch_arm(const struct message_trace *position);

/* A new stream begins, at this window. Taps the core only as far as `options` and the trace ask for. */
void watch_start(struct hans *hans, enum mode mode, uint32_t options, uint32_t window);

/* Around every call of hans_push and hans_poll, so that waiting between them costs nothing. */
void watch_enter(void);
void watch_leave(void);

/* A window is judged: its costs, and begin anew. Ends the trace. */
void watch_window(struct hans *hans, struct message_costs *costs);

/* What the last trace saw, and its `size` dumped bytes. */
const struct message_traced *watch_traced(void);
const uint8_t *watch_dump(uint16_t *size);

#endif
