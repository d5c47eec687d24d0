/* Generated from cyberhans/messages.py: python -m cyberhans.messages > firmware/app/messages.h */
#ifndef MESSAGES_H_
#define MESSAGES_H_

#include <stdint.h>

#define PROTOCOL_VERSION 1
#define MESSAGE_REPLY 0x80u
#define MESSAGE_NAK 0x80u
#define DUMP_BYTES 128

enum request {
    REQUEST_INFO = 0x01,
    REQUEST_START = 0x02,
    REQUEST_SAMPLES = 0x03,
    REQUEST_TRACE = 0x04,
    REQUEST_TRACED = 0x05,
    REQUEST_FILE = 0x06,
    REQUEST_RUN = 0x07,
};
enum event {
    EVENT_VERDICT = 0xC0,
    EVENT_FEATURES = 0xC1,
    EVENT_COSTS = 0xC2,
};
enum refusal {
    REFUSAL_UNKNOWN = 0x01,
    REFUSAL_LENGTH = 0x02,
    REFUSAL_MODE = 0x03,
    REFUSAL_INDEX = 0x04,
    REFUSAL_FILE = 0x05,
    REFUSAL_CORE = 0x06,
};
enum mode {
    MODE_RUN = 0x00,
    MODE_HOST = 0x01,
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
    uint16_t reserved;
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
    uint32_t before;
    uint32_t done;
    uint32_t call;
    uint16_t offset;
    uint8_t stage;
    uint8_t reserved;
    uint32_t window;
};
typedef char message_traced_size[sizeof(struct message_traced) == 44 ? 1 : -1];

struct message_replayed {
    uint32_t frames;
    uint32_t windows;
};
typedef char message_replayed_size[sizeof(struct message_replayed) == 8 ? 1 : -1];

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
    uint8_t reserved;
};
typedef char message_verdict_size[sizeof(struct message_verdict) == 20 ? 1 : -1];

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
