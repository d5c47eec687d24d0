/*
 * What the alarm logic remembers of run mode, kept while the core serves a host or a capture and, where the port has
 * storage, beyond a reset (SPEC.md section 10.7).
 */
#ifndef KEPT_H_
#define KEPT_H_

#include "hans.h"
#include "messages.h"

#ifndef STORE_SOON_S
/* Least time between two writes, but for an alarm that begins or ends and a new baseline; and after one that failed. */
#define STORE_SOON_S 60
#endif
#ifndef STORE_LATER_S
#define STORE_LATER_S 3600 /* between two writes where the state stays the same */
#endif

struct kept {
    uint32_t revision; /* of run mode's baseline */
    uint8_t state;     /* enum hans_state, of run mode: after its last window, before its first the likeliest */
    uint8_t storage;   /* enum storage */
};

/* Power-on, the core is as built: go on from what is stored. Gives the token that goes with it. */
uint32_t kept_load(struct hans *hans);

/* Run mode ends. */
void kept_put(struct hans *hans, uint32_t token);

/* Run mode begins again where it ended. Gives the token that went with it. */
uint32_t kept_back(struct hans *hans);

/* A window of run mode was judged. */
void kept_window(struct hans *hans, uint32_t token, const struct hans_verdict *verdict);

/* The baseline of run mode was set back, or a re-baselining began. */
void kept_baseline(struct hans *hans, uint32_t token);

const struct kept *kept_state(void);

#endif
