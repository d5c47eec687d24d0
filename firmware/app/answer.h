/*
 * What the device does with a request (SPEC.md section 10): one reply or refusal each, after the events that it caused.
 */
#ifndef ANSWER_H_
#define ANSWER_H_

#include "link.h"

#define FIRMWARE_VERSION "0.2.0" /* of the package cyberhans */

void answer(const struct link_packet *packet);

#endif
