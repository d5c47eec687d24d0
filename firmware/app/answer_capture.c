/*
 * SENSOR, CAPTURE and CREDIT (SPEC.md section 10.5).
 */
#include <string.h>

#include "answer.h"
#include "capture.h"
#include "port.h"
#include "source.h"
#include "stream.h"

static uint8_t under_way(uint32_t stream)
{
    return stream_state()->mode == MODE_CAPTURE && capture_state().stream == stream;
}

static void answer_capturing(const struct link_packet *packet)
{
    struct message_capturing state = capture_state();
    answer_reply(packet, &state, sizeof state);
}

void answer_sensor(const struct link_packet *packet)
{
    const struct source_sensor *sensor = source_sensor();
    struct message_sensor told = {
        .rate_mhz = sensor->rate_mhz,
        .least_mhz = sensor->least_mhz,
        .most_mhz = sensor->most_mhz,
        .scale_numerator = sensor->scale_numerator,
        .scale_denominator = sensor->scale_denominator,
        .baud = port_baud,
        .buffer = (uint32_t)stream_work_size(),
        .full_scale = sensor->full_scale,
        .channels = sensor->channels,
    };
    size_t unit = strlen(sensor->unit), name = strlen(sensor->name);

    memcpy(told.unit, sensor->unit, unit < sizeof told.unit ? unit : sizeof told.unit);
    memcpy(told.sensor, sensor->name, name < sizeof told.sensor ? name : sizeof told.sensor);
    answer_reply(packet, &told, sizeof told);
}

void answer_capture(const struct link_packet *packet)
{
    const struct source_sensor *sensor = source_sensor();
    struct message_capture wanted;
    uint32_t most;

    if (packet->size < sizeof wanted) {
        answer_refuse(packet, REFUSAL_LENGTH, 0);
        return;
    }
    memcpy(&wanted, packet->body, sizeof wanted);
    if (under_way(wanted.stream)) {
        answer_capturing(packet);
        return;
    }
    if (wanted.channels == 0 || wanted.channels > sensor->channels) {
        answer_refuse(packet, REFUSAL_CHANNELS, sensor->channels);
        return;
    }
    most = capture_most_mhz(wanted.channels);
    if (wanted.rate_mhz < sensor->least_mhz || wanted.rate_mhz > most) {
        const uint32_t nearest = wanted.rate_mhz > most ? most : sensor->least_mhz;
        answer_refuse(packet, REFUSAL_RATE, nearest < INT32_MAX ? (int32_t)nearest : INT32_MAX);
        return;
    }
    stream_capture(&wanted);
    answer_capturing(packet);
}

void answer_credit(const struct link_packet *packet)
{
    struct message_credit credit;

    if (packet->size < sizeof credit) {
        answer_refuse(packet, REFUSAL_LENGTH, 0);
        return;
    }
    memcpy(&credit, packet->body, sizeof credit);
    if (!under_way(credit.stream)) {
        answer_refuse(packet, REFUSAL_MODE, 0);
        return;
    }
    capture_credit(credit.until);
    answer_capturing(packet);
}
