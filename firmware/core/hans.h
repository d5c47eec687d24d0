/*
 * Cyber-Hans core: samples in, verdicts out. This header is the manual; SPEC.md defines every bit.
 *
 * The core owns nothing: no heap, no stdio, no writable globals. The caller hands in `struct hans` and a block of work
 * memory whose size is a compile-time constant. One instance per sensor stream; instances are independent, but for the
 * model that they may share: its entry keeps intermediate values in static memory and is not re-entrant. Two instances
 * with one model must not be in hans_poll at once, be it in two threads or in an interrupt and what it interrupts.
 *
 *     #include "detector.h"                                 // of a detector's folder; it includes this header
 *     static struct hans hans;
 *     static uint64_t work[HANS_DETECTOR_WORDS];
 *
 *     if (hans_init(&hans, &HANS_DETECTOR_SPEC, &HANS_DETECTOR_MODEL, work, sizeof work) != HANS_OK)
 *         stop();
 *     while (count > 0) {                                   // of each block of `count` sample frames
 *         struct hans_verdict verdict;
 *         long used = hans_push(&hans, samples, count);     // stops at the end of a window
 *         if (used < 0)
 *             stop();                                       // hans_error(used) says why
 *         if (hans_poll(&hans, &verdict) == 1)              // 1 = a verdict
 *             send(&verdict);                               // verdict.state: normal, alarm, idle, sensor moved ..
 *         samples += (size_t)used * HANS_DETECTOR_SPEC.channels;
 *         count -= (size_t)used;
 *     }
 *
 * Samples are int16 of the sensor, rate and range that the detector's recordings were made with. Compile this folder's
 * files and the detector's tables.c, model.c and detector.c as C99 or later with -ffp-contract=off, and with no option that
 * lets floats be reordered (-ffast-math): the model's would differ from the host's.
 *
 * Needs two's complement, arithmetic right shift of negative numbers, and (for the taps and digests) a little-endian
 * machine; the first two are checked at compile time.
 */
#ifndef HANS_H_
#define HANS_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HANS_ARITHMETIC 3 /* version of SPEC.md sections 1 to 7; changes when any feature's or score's bits change */
#define HANS_INTERFACE 3  /* version of struct hans_spec, hans_model and hans_alarm; generated C refuses another one */
#define HANS_MAX_CHANNELS 6
#define HANS_MAX_FEATURES 255
#define HANS_MAX_BANDS 64 /* per channel and frame length */
#define HANS_DIGEST 16    /* bytes of a digest: the first of a SHA-256 */

/* Errors: negative, never to be ignored. hans_error() gives the words. */
enum hans_status {
    HANS_OK = 0,
    HANS_E_ARGUMENT = -1, /* a null pointer, or samples that are no multiple of what is asked for */
    HANS_E_SPEC = -2,     /* the spec breaks a bound of SPEC.md section 2 */
    HANS_E_MODEL = -3,    /* magic, interface version, feature count or alarm settings of the model are wrong */
    HANS_E_DIGEST = -4,   /* the model was made for another spec */
    HANS_E_MEMORY = -5,   /* work memory too small or not aligned to 8 bytes */
    HANS_E_SAVED = -6,    /* what was saved is damaged, or another detector's */
    HANS_E_ALARM = -7     /* the model has no alarm settings, or there is nothing to undo */
};

/* Feature families beside the band means, which are always computed. */
enum hans_family { HANS_SPREAD = 1, HANS_LEVEL = 2, HANS_DIFFERENCES = 4, HANS_STEPS = 8 };

/* Stages, in the order of SPEC.md section 9. */
enum hans_stage {
    HANS_SAMPLES,  /* int16_t[length]: one frame of one channel */
    HANS_SPECTRUM, /* uint64_t[length / 2]: its power */
    HANS_BANDS,    /* int16_t[bands]: its log2 band powers */
    HANS_FEATURES, /* int16_t[features], once per window */
    HANS_SCORE,    /* int32_t, once per window */
    HANS_VERDICT,  /* uint8_t, once per window */
    HANS_ALARM,    /* 8 bytes: state to rise of struct hans_verdict, once per window */
    HANS_STAGES
};

/* One frame length and its constants, generated on the host (SPEC.md section 3). All pointers are to const tables. */
struct hans_frame {
    uint16_t length;            /* N: 64, 128, 256, 512, 1024 or 2048 samples */
    uint8_t bands;              /* B: 1 to 64 */
    uint8_t radix;              /* R of the first pass: 8 or 4 */
    uint8_t stages;             /* D: radix-4 stages after it */
    uint8_t shift;              /* S: bits by which the tapered samples are scaled up */
    const uint16_t *taper;      /* [N / 2], Q15: its rising half */
    const uint16_t *order;      /* [N / 2 / R]: base-4 digit reversal r(p) */
    const uint32_t *twiddle;    /* [N / 8][3]: of the last stage, for j = 0, 1, .. and m = 1..3: cos in the low, sin in
                                   the high half-word, Q15; earlier stages use every 4th, every 16th .. triple */
    const uint32_t *split;      /* [N / 4]: cos low, sin high, angle 2 pi k / N */
    const uint16_t *edge;       /* [B + 2]: bins */
    const uint32_t *reciprocal; /* [B + 1]: 2^31 / segment length, rounded down */
};

/* What is computed from a stream (SPEC.md section 2). Generated; never written by hand. */
struct hans_spec {
    uint8_t digest[HANS_DIGEST];
    uint32_t rate_mhz; /* sample frames per second, 1/1000 Hz */
    uint32_t window;   /* sample frames in a window */
    uint32_t hop;      /* sample frames from window to window, >= window; the rest is skipped */
    uint8_t channels;  /* 1 to 6 */
    uint8_t families;  /* enum hans_family, or-ed */
    uint8_t lengths;   /* 1 or 2 frame lengths */
    uint8_t features;  /* how many int16 features a window gives */
    const struct hans_frame *frame; /* [lengths], short first */
};

/* What a model's entry returns. */
enum hans_model_kind {
    HANS_PARTS = 1, /* entry fills parts[] with squared residuals, Q12; the core takes log2 of their mean */
    HANS_DIRECT = 2, /* entry returns the score itself; parts is not touched */
    HANS_HEADS = 3 /* entry fills parts[] with the mean square of each head, Q12; the core takes the mean of their log2 */
};

#define HANS_MODEL_MAGIC 0x534E4148UL /* "HANS" */
#define HANS_UNCALIBRATED 1u          /* flag: the threshold rests on too few windows */

/* What the alarm logic says of the machine (SPEC.md section 7.2); of those that apply the one told is the first of
 * fault, idle, moved, learning, alarm, suspicious, normal. */
enum hans_state {
    HANS_STATE_LEARNING = 0,   /* the model is uncalibrated, or a re-baselining gathers its windows */
    HANS_STATE_NORMAL = 1,
    HANS_STATE_SUSPICIOUS = 2, /* half the votes that an alarm needs, or more */
    HANS_STATE_ALARM = 3,
    HANS_STATE_IDLE = 4,       /* the machine is off */
    HANS_STATE_MOVED = 5,      /* gravity comes from another side than while learning */
    HANS_STATE_FAULT = 6       /* a channel is stuck or dead, or clips */
};

/* Why; or-ed. */
enum hans_reason {
    HANS_BY_SCORE = 1,      /* votes of the score: k for an alarm that is on, half of k for suspicion */
    HANS_BY_RISE = 2,       /* likewise of the rise above the quietest baseline */
    HANS_STUCK = 4,         /* a channel's samples were all equal */
    HANS_CLIPPED = 8,       /* more samples at full scale than the settings allow */
    HANS_TILTED = 16,       /* the angle of gravity */
    HANS_OFF = 32,          /* every channel's level was below `idle` */
    HANS_GATHERING = 64,    /* a re-baselining took, or waits for, windows */
    HANS_FEW_WINDOWS = 128  /* the model is uncalibrated */
};

/* Settings of the alarm logic (SPEC.md section 7.1), generated; the symbol stays inside the detector. */
struct hans_alarm {
    uint8_t of;         /* n, 1 to 32: the last n judged windows vote */
    uint8_t raise;      /* k, 1 to n: as many votes raise an alarm; fewer: more false alarms, sooner true ones */
    uint8_t clear;      /* below k: an alarm ends at so many votes or fewer */
    uint8_t fast;       /* 0 to 7: the fast mean follows by 2^-fast a window */
    uint8_t slow;       /* 1 to 14: the baseline follows by 2^-slow a window, 2^-(slow+3) in suspicion, not in alarm; 0: never */
    uint16_t change;    /* 1/256 octave: least mean absolute change of the band means for an alarm by score */
    uint16_t rise;      /* 1/256 octave: above the quietest baseline ever; more alarms by itself; 0: never */
    int16_t idle;       /* 1/256 octave: off if every channel's level is below; INT16_MIN: never; needs HANS_LEVEL */
    uint16_t full_scale;/* LSB: a sample of this size or more clips; 0: unknown; needs HANS_LEVEL */
    uint16_t reach;     /* 1/256 octave: largest mean absolute offset of the band means for a re-baselining */
    uint32_t clipped;   /* samples of a window, all channels together; more are a sensor fault */
    uint32_t moved;     /* sin^2 of the largest angle of gravity, Q20, up to 2^20; 0: never; needs 3 channels */
    int16_t gravity[3]; /* LSB: mean of the channels 0 to 2 while learning */
    const int16_t *centre; /* [features]: mean of the learnt features */
    const int16_t *limit;  /* [features], >= 0: a step of the baseline counts no larger difference, 1/256 octave */
};

/* The detector's slot: the one symbol that a detector shares with the application. */
struct hans_model {
    uint32_t magic;               /* HANS_MODEL_MAGIC */
    uint16_t interface;           /* HANS_INTERFACE */
    uint16_t kind;                /* enum hans_model_kind */
    uint32_t length;              /* bytes of a slot that is linked alone; 0 when linked with the application */
    uint32_t crc;                 /* CRC-32 of such a slot; 0 when linked with the application */
    uint8_t digest[HANS_DIGEST];  /* of model.c */
    uint8_t spec[HANS_DIGEST];    /* digest of the spec it was made for */
    uint8_t detector[HANS_DIGEST];/* of spec, model, threshold, flags and alarm settings */
    uint16_t features;            /* must equal the spec's */
    uint16_t parts;               /* parts (or heads) that entry fills; 0 for HANS_DIRECT; at most `features` */
    uint32_t ram;                 /* bytes of static memory that the model's own C uses */
    int32_t threshold;            /* 1/65536 octave; anomaly if score > threshold */
    uint16_t flags;               /* HANS_UNCALIBRATED */
    int32_t (*entry)(const int16_t *features, uint32_t *parts);
    const struct hans_alarm *alarm; /* NULL: no alarm logic, every state is normal */
};

/* Streaming power sums of one sequence (SPEC.md section 5); exact for 2^20 values of 17 bits. */
struct hans_moments {
    int64_t s1;
    uint64_t s2;
    uint64_t s3;       /* low 64 bits; s3_high extends it to 96, signed */
    uint64_t s4;       /* low 64 bits; s4_high extends it to 96 */
    int32_t s3_high;
    uint32_t s4_high;
    int32_t low, high; /* smallest and largest value */
};

/* One window's result. */
struct hans_verdict {
    uint32_t window;                 /* windows since hans_init or hans_restart, from 0 */
    uint32_t first;                  /* sample frame at which it began, since then, modulo 2^32 */
    int32_t score;                   /* 1/65536 octave, larger is stranger; 0 without a model */
    int32_t threshold;               /* the model's */
    uint8_t anomaly;                 /* 1 if score > threshold */
    uint8_t flags;                   /* the model's: HANS_UNCALIBRATED */
    int16_t mean[HANS_MAX_CHANNELS]; /* DC of each channel: gravity and orientation, no feature */
    uint8_t state;                   /* enum hans_state */
    uint8_t votes;                   /* how many of the last n judged windows were anomalies */
    uint8_t reasons;                 /* enum hans_reason, or-ed */
    uint8_t reserved;                /* 0 */
    int16_t change;                  /* 1/256 octave: mean absolute change of the band means; 0 if not judged */
    int16_t rise;                    /* 1/256 octave: rise above the quietest baseline ever; 0 if not judged */
};

/* How the last re-baselining went. */
enum hans_outcome {
    HANS_NONE = 0,     /* there was none */
    HANS_UNDER_WAY = 1,
    HANS_DONE = 2,
    HANS_TOO_FAR = 3,  /* refused: the machine is farther from its trained baseline than `reach` */
    HANS_UNDONE = 4,
    HANS_STOPPED = 5   /* hans_undo came while it gathered */
};

/* What hans_baseline tells. */
struct hans_baseline {
    uint32_t revision; /* of the baseline: 0 as built, one more with each that was set or undone */
    uint16_t gathered; /* windows */
    uint16_t wanted;   /* windows */
    uint16_t change;   /* 1/256 octave: mean absolute offset of the band means that the last one found */
    uint8_t outcome;   /* enum hans_outcome */
    uint8_t alarmed;   /* an alarm is on, be it hidden by an idle machine or a faulty sensor */
};

/* What the alarm logic remembers from window to window, in work memory: this, then int32_t drift[features],
 * fast[features], int16_t baseline[features], before[features]. Saved and resumed as bytes; see hans_save. */
struct hans_memory {
    uint32_t crc;                   /* CRC-32 of all that follows, set by hans_save */
    uint8_t detector[HANS_DIGEST];  /* whose it is */
    uint32_t revision;
    uint32_t votes, rises;          /* bit 0: the newest judged window */
    int32_t quietest;               /* 1/65536 octave: lowest mean offset of the band means ever */
    int32_t dc[3], dc_sum[3];       /* smoothed means of channels 0 to 2, 1/256 LSB; sums while gathering, LSB */
    int16_t gravity[3], gravity_before[3]; /* reference of the baseline, and of the one before */
    uint16_t gathered, wanted;      /* windows of a re-baselining */
    uint16_t change;                /* that it found, 1/256 octave */
    uint8_t outcome;                /* enum hans_outcome */
    uint8_t alarmed;                /* the reasons that raised the alarm that is on; 0: none is on */
    uint8_t settled;                /* `dc` holds a mean */
    uint8_t reserved[7];            /* 0; a whole number of 8-byte words */
};

/* A look at a stage's bytes as they are computed: `data` is valid only during the call. For verification and for
 * profiling; NULL costs one test per stage. */
typedef void (*hans_tap)(void *context, enum hans_stage stage, const void *data, size_t size);

/* An instance. Callers read no field. */
struct hans {
    const struct hans_spec *spec;
    const struct hans_model *model; /* may be NULL: features only */
    hans_tap tap;
    void *context;
    uint64_t *cells;                /* [longest / 2]: FFT in place, then power; room for the features, too */
    struct hans_moments *level;     /* [channels]: of the signal; of s1 alone if the family is not asked for */
    struct hans_moments *steps;     /* [channels] if asked for: of its first difference */
    uint64_t *squares;              /* [channel bands] if spreads are asked for: sum over frames of q^2 */
    uint32_t *sums;                 /* [channel bands]: sum over frames of q */
    uint32_t *parts;                /* [features] */
    int16_t *frame;                 /* [channels][longest]: the newest samples */
    int16_t *features;              /* [features] */
    struct hans_memory *memory;     /* and the arrays after it */
    int32_t *drift;                 /* [features]: of the tracked baseline, 1/65536 octave */
    int32_t *fast;                  /* [features]: fast means of the band means; sums while a re-baselining gathers */
    int16_t *baseline;              /* [features]: offset set by a re-baselining, 1/256 octave */
    int16_t *before;                /* [features]: the one before, for hans_undo */
    uint32_t clipped;               /* samples of the current window at full scale */
    uint32_t position;              /* sample frames of the current hop taken so far */
    uint32_t window;                /* windows finished */
    uint32_t first;                 /* sample frame at which the current window began */
    uint16_t fill;                  /* sample frames in `frame` */
    uint8_t pending;                /* a window is complete and waits for hans_poll */
    uint8_t aside;                  /* hans_reset has put the baseline aside */
};

/* 8-byte words of struct hans_memory with its arrays. */
#define HANS_MEMORY_WORDS(features) (sizeof(struct hans_memory) / 8 + ((size_t)(features) * 12 + 7) / 8)

/* Work memory, as a constant expression: 8-byte words for `channels`, the longest frame length, the sum over frame
 * lengths of channels x bands, the features and the families. A generated detector.h gives it ready-made as
 * HANS_DETECTOR_WORDS. */
#define HANS_WORK_WORDS(channels, longest, channel_bands, features, families)                                          \
    (((size_t)(longest) / 2 > ((size_t)(features) + 3) / 4 ? (size_t)(longest) / 2 : ((size_t)(features) + 3) / 4) +   \
     (size_t)(channels) * ((families) & HANS_STEPS ? 2 : 1) * (sizeof(struct hans_moments) / 8) +                      \
     ((families) & HANS_SPREAD ? (size_t)(channel_bands) : 0) + ((size_t)(channel_bands) + 1) / 2 +                    \
     ((size_t)(features) + 1) / 2 + ((size_t)(channels) * (size_t)(longest) + 3) / 4 + ((size_t)(features) + 3) / 4 +  \
     HANS_MEMORY_WORDS(features))

/* Bytes of work memory that `spec` needs: HANS_WORK_WORDS times 8. */
size_t hans_work_size(const struct hans_spec *spec);

/* Prepare an instance. `model` may be NULL: then every score and verdict is 0. `work` must be aligned to 8 bytes and
 * live as long as `hans`. Returns HANS_OK or an error. */
int hans_init(struct hans *hans, const struct hans_spec *spec, const struct hans_model *model, void *work, size_t size);

/* Forget the current window and start at window 0, sample frame 0. Drops a pending verdict. What the alarm logic
 * remembers stays. */
int hans_restart(struct hans *hans);

/* Take up to `count` sample frames (count x channels interleaved samples). Returns how many were consumed: fewer than
 * `count` at the end of a window, which waits for hans_poll; 0 as long as it waits. Or an error. */
long hans_push(struct hans *hans, const int16_t *samples, size_t count);

/* If a window is complete: compute features, score and verdict, store them and return 1. Else 0. Or an error. */
int hans_poll(struct hans *hans, struct hans_verdict *verdict);

/* The features of the window last polled; valid until the next hans_push. */
const int16_t *hans_features(const struct hans *hans);

/* Call `tap` at every stage from now on; NULL stops it. */
void hans_set_tap(struct hans *hans, hans_tap tap, void *context);

/* The alarm logic remembers votes, an alarm that is on, how far the tracked baseline has drifted, and the baseline that
 * a re-baselining has set. All below return HANS_E_ARGUMENT for an instance that was not initialised, and HANS_E_ALARM
 * for one whose model has no alarm settings. */

/* What hans_reset leaves. */
enum hans_reset {
    HANS_AS_BUILT = 0,      /* nothing: as hans_init does; revision 0 */
    HANS_KEEP_BASELINE = 1, /* the baseline, the one before it and gravity; votes, alarm, tracking and a re-baselining
                               under way are forgotten */
    HANS_BASELINE_ASIDE = 2 /* the same, but judges as built until the next hans_reset, hans_resume, hans_undo, or
                               re-baselining that is done */
};

/* Forget what the alarm logic remembers, `how` much of it: enum hans_reset. */
int hans_reset(struct hans *hans, int how);

/* Re-centre: gather the next `windows` (2 to 4096) windows in which the machine runs and the sensor works, be it moved
 * or not; with the last of them their mean becomes the baseline, or is refused (HANS_TOO_FAR) and nothing changes. Meanwhile
 * the state is learning, or moved, and no vote is cast. One under way starts anew. */
int hans_rebaseline(struct hans *hans, uint16_t windows);

/* Go back to the baseline before the last re-baselining; once more goes forth again. Stops a re-baselining under way
 * instead. HANS_E_ALARM if there is nothing to go back to (revision 0). */
int hans_undo(struct hans *hans);

/* How the last re-baselining goes or went. */
int hans_baseline(const struct hans *hans, struct hans_baseline *told);

/* All that the alarm logic remembers: `size` bytes, little-endian, of this detector alone, with a CRC. They lie in work
 * memory and change with the next hans_poll. NULL where another function returns an error. */
const void *hans_save(struct hans *hans, size_t *size);

/* Go on from what hans_save gave, of this detector; else HANS_E_SAVED, and nothing changes. */
int hans_resume(struct hans *hans, const void *saved, size_t size);

/* The words for an error; a string constant, never NULL. */
const char *hans_error(int status);

#ifdef __cplusplus
}
#endif

#endif
