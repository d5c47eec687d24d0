/*
 * The last verdicts of run mode, for a host that comes later (SPEC.md section 10.6).
 */
#ifndef VERDICTS_H_
#define VERDICTS_H_

#include <stddef.h>

#include "messages.h"

/* Run mode begins anew. */
void verdicts_forget(void);

/* A window of run mode was judged: its VERDICT, `size` bytes of int16 means, and whether it was sent. */
void verdicts_keep(const struct message_verdict *verdict, const int16_t *mean, size_t size, int sent);

/* The reply to VERDICTS, and the bytes that follow its fields. */
struct message_verdicts verdicts_told(const uint8_t **tail);

#endif
