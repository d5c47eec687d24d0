/* Generated from cyberhans/messages.py: python -m cyberhans.messages > firmware/app/messages.h */
#ifndef MESSAGES_H_
#define MESSAGES_H_

#include <stdint.h>

#define PROTOCOL_VERSION 2
#define MESSAGE_REPLY 0x80u
#define MESSAGE_NAK 0x80u
#define DUMP_BYTES 128
#define REBASELINE_UNDO 0
#define REBASELINE_STOP 1

enum request {
    REQUEST_INFO = 0x01,
    REQUEST_START = 0x02,
    REQUEST_SAMPLES = 0x03,
    REQUEST_TRACE = 0x04,
    REQUEST_TRACED = 0x05,
    REQUEST_FILE = 0x06,
    REQUEST_RUN = 0x07,
    REQUEST_SENSOR = 0x08,
    REQUEST_CAPTURE = 0x09,
    REQUEST_CREDIT = 0x0B,
    REQUEST_VERDICTS = 0x0C,
    REQUEST_REBASELINE = 0x0E,
    REQUEST_BASELINE = 0x0F,
    REQUEST_MEMORY = 0x10,
};
enum event {
    EVENT_VERDICT = 0xC0,
    EVENT_FEATURES = 0xC1,
    EVENT_COSTS = 0xC2,
    EVENT_DATA = 0xC3,
};
enum refusal {
    REFUSAL_UNKNOWN = 0x01,
    REFUSAL_LENGTH = 0x02,
    REFUSAL_MODE = 0x03,
    REFUSAL_INDEX = 0x04,
    REFUSAL_FILE = 0x05,
    REFUSAL_CORE = 0x06,
    REFUSAL_RATE = 0x07,
    REFUSAL_CHANNELS = 0x08,
    REFUSAL_BASELINE = 0x09,
};
enum mode {
    MODE_RUN = 0x00,
    MODE_HOST = 0x01,
    MODE_CAPTURE = 0x02,
};
enum storage {
    STORAGE_NONE = 0x00,
    STORAGE_EMPTY = 0x01,
    STORAGE_RESUMED = 0x02,
    STORAGE_REFUSED = 0x03,
    STORAGE_FAILED = 0x04,
};
enum option {
    OPTION_FEATURES = 0x01,
    OPTION_COSTS = 0x02,
};

struct message_info {
    uint16_t protocol;
    uint16_t arithmetic;
    uint16_t interface;
    uint16_t body_max;
    uint16_t credits;
    uint16_t features;
    int16_t status;
    uint16_t flags;
    uint8_t channels;
    uint8_t mode;
    uint8_t state;
    uint8_t storage;
    uint8_t spec[16];
    uint8_t model[16];
    uint8_t detector[16];
    uint8_t firmware[16];
    uint8_t board[16];
    uint8_t serial[16];
    uint32_t revision;
    uint32_t rate_mhz;
    uint32_t window;
    uint32_t hop;
    uint32_t tick_hz;
    uint32_t lost;
    uint32_t broken;
};
typedef char message_info_size[sizeof(struct message_info) == 144 ? 1 : -1];

struct message_start {
    uint32_t options;
    uint32_t window;
};
typedef char message_start_size[sizeof(struct message_start) == 8 ? 1 : -1];

struct message_taken {
    uint32_t next;
    uint32_t lost;
    uint16_t credits;
    uint16_t reserved;
};
typedef char message_taken_size[sizeof(struct message_taken) == 12 ? 1 : -1];

struct message_samples {
    uint32_t index;
};
typedef char message_samples_size[sizeof(struct message_samples) == 4 ? 1 : -1];

struct message_trace {
    uint32_t call;
    uint16_t offset;
    uint8_t stage;
    uint8_t reserved;
};
typedef char message_trace_size[sizeof(struct message_trace) == 8 ? 1 : -1];

struct message_traced {
    uint32_t samples;
    uint32_t spectrum;
    uint32_t bands;
    uint32_t features;
    uint32_t score;
    uint32_t verdict;
    uint32_t alarm;
    uint32_t before;
    uint32_t done;
    uint32_t call;
    uint16_t offset;
    uint8_t stage;
    uint8_t reserved;
    uint32_t window;
};
typedef char message_traced_size[sizeof(struct message_traced) == 48 ? 1 : -1];

struct message_replayed {
    uint32_t frames;
    uint32_t windows;
};
typedef char message_replayed_size[sizeof(struct message_replayed) == 8 ? 1 : -1];

struct message_sensor {
    uint32_t rate_mhz;
    uint32_t least_mhz;
    uint32_t most_mhz;
    uint32_t scale_numerator;
    uint32_t scale_denominator;
    uint32_t baud;
    uint32_t buffer;
    uint16_t full_scale;
    uint8_t channels;
    uint8_t reserved;
    uint8_t unit[16];
    uint8_t sensor[16];
};
typedef char message_sensor_size[sizeof(struct message_sensor) == 64 ? 1 : -1];

struct message_capture {
    uint32_t stream;
    uint32_t rate_mhz;
    uint32_t frames;
    uint32_t until;
    uint8_t channels;
    uint8_t reserved;
    uint16_t reserved_2;
};
typedef char message_capture_size[sizeof(struct message_capture) == 20 ? 1 : -1];

struct message_credit {
    uint32_t stream;
    uint32_t until;
};
typedef char message_credit_size[sizeof(struct message_credit) == 8 ? 1 : -1];

struct message_capturing {
    uint32_t stream;
    uint32_t next;
    uint32_t sampled;
    uint32_t overruns;
};
typedef char message_capturing_size[sizeof(struct message_capturing) == 16 ? 1 : -1];

struct message_data {
    uint32_t stream;
    uint32_t index;
    uint32_t overruns;
    uint32_t ticks;
};
typedef char message_data_size[sizeof(struct message_data) == 16 ? 1 : -1];

struct message_verdicts {
    uint32_t windows;
    uint32_t unsent;
    uint16_t count;
    uint16_t size;
};
typedef char message_verdicts_size[sizeof(struct message_verdicts) == 12 ? 1 : -1];

struct message_rebaseline {
    uint32_t token;
    uint16_t windows;
    uint16_t reserved;
};
typedef char message_rebaseline_size[sizeof(struct message_rebaseline) == 8 ? 1 : -1];

struct message_baseline {
    uint32_t token;
    uint32_t revision;
    uint16_t gathered;
    uint16_t wanted;
    uint16_t change;
    uint16_t reach;
    uint8_t outcome;
    uint8_t state;
    uint16_t reserved;
};
typedef char message_baseline_size[sizeof(struct message_baseline) == 20 ? 1 : -1];

struct message_memory {
    uint32_t work_bytes;
    uint32_t stack_bytes;
    uint32_t stack_used;
};
typedef char message_memory_size[sizeof(struct message_memory) == 12 ? 1 : -1];

struct message_nak {
    uint8_t request;
    uint8_t code;
    uint16_t reserved;
    int32_t detail;
};
typedef char message_nak_size[sizeof(struct message_nak) == 8 ? 1 : -1];

struct message_verdict {
    uint32_t window;
    uint32_t first;
    int32_t score;
    int32_t threshold;
    uint8_t anomaly;
    uint8_t flags;
    uint8_t channels;
    uint8_t state;
    uint8_t votes;
    uint8_t reasons;
    uint16_t reserved;
    int16_t change;
    int16_t rise;
};
typedef char message_verdict_size[sizeof(struct message_verdict) == 28 ? 1 : -1];

struct message_features {
    uint32_t window;
    uint16_t offset;
    uint16_t total;
};
typedef char message_features_size[sizeof(struct message_features) == 8 ? 1 : -1];

struct message_costs {
    uint32_t window;
    uint32_t samples;
    uint32_t spectrum;
    uint32_t bands;
    uint32_t features;
    uint32_t score;
};
typedef char message_costs_size[sizeof(struct message_costs) == 24 ? 1 : -1];

#endif
