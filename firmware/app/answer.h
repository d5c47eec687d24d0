/*
 * What the device does with a request (SPEC.md section 10): one reply or refusal each, after the events that it caused.
 */
#ifndef ANSWER_H_
#define ANSWER_H_

#include "link.h"
#include "messages.h"

#define FIRMWARE_VERSION "0.5.0" /* of the package cyberhans */

void answer(const struct link_packet *packet);

/* For the answers themselves: the reply to the packet, or its refusal. */
void answer_reply(const struct link_packet *packet, const void *body, size_t size);
void answer_refuse(const struct link_packet *packet, enum refusal code, int32_t detail);

/* In answer_capture.c. */
void answer_sensor(const struct link_packet *packet);
void answer_capture(const struct link_packet *packet);
void answer_credit(const struct link_packet *packet);

#endif
