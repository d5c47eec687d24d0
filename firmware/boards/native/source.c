/*
 * A simulated sensor: plays a recording, or the image's stored waveform, in a loop and in real time. Sample frame k
 * since source_start is the recording's frame k modulo its length, always: none is ever dropped here.
 *
 * Its sample clock runs at rate * (1 + --clock-error) of port_ticks; the rate that it tells is without the error. A
 * block is complete when its last frame's time is over, and its interrupt is served LATENCY_NS later at most, as on a
 * board that masks interrupts now and then; with --jitter later still. The driver stamps that moment and counts back
 * by the rate it was told, as a driver does: so stamps scatter by LATENCY_NS and --jitter, and follow the sample
 * clock, not the moments at which the operating system lets this process run. Both delays are drawn from one fixed
 * seed, anew for each block.
 *
 * Those moments only delay blocks: what has become due while the process slept is handed over at once.
 */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "native.h"
#include "port.h"

#define BLOCK_SAMPLES 256 /* at most */
#define BLOCKS_PER_S 100  /* at least, while a block has more than one frame */
#define LATENCY_NS 20000.0

extern const struct source_sensor hans_waveform_sensor;
extern const int16_t hans_waveform[];
extern const uint32_t hans_waveform_frames;

static struct source_sensor sensor;
static const int16_t *recorded;
static uint64_t recorded_frames;

/* Of the sampling under way. */
static uint8_t width;         /* channels; 0: stopped */
static uint16_t block_frames; /* of every block */
static double period_ns;      /* of the sample clock */
static double told_ns;        /* the same by the rate that was asked for */
static uint64_t begun_ns;
static uint64_t next;  /* first frame of the next block */
static double seen_ns; /* from begun_ns until the next block's interrupt is served */
static uint32_t random_state;
static int16_t block[BLOCK_SAMPLES];

/* A file stays readable here when its name is gone. */
static void map(const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    const size_t frame = arguments()->channels * sizeof(int16_t);
    struct stat status;
    void *content;

    if (file < 0 || fstat(file, &status) < 0) {
        give_up(2, path, strerror(errno));
    }
    if (status.st_size <= 0 || (uint64_t)status.st_size % frame != 0) {
        give_up(2, path, "holds no whole number of sample frames; check --channels");
    }
    content = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    if (content == MAP_FAILED) {
        give_up(2, path, strerror(errno));
    }
    close(file);
    recorded = content;
    recorded_frames = (uint64_t)status.st_size / frame;
}

void source_open(void)
{
    const struct arguments *given = arguments();

    if (!given->play) {
        sensor = hans_waveform_sensor;
        recorded = hans_waveform;
        recorded_frames = hans_waveform_frames;
        return;
    }
    map(given->play);
    sensor = (struct source_sensor){
        .name = given->name,
        .unit = given->unit,
        .rate_mhz = given->rate_mhz,
        .least_mhz = given->rate_mhz,
        .most_mhz = given->rate_mhz,
        .scale_numerator = given->scale_numerator,
        .scale_denominator = given->scale_denominator,
        .full_scale = (uint16_t)given->full_scale,
        .channels = (uint8_t)given->channels,
    };
}

const struct source_sensor *source_sensor(void)
{
    return &sensor;
}

/* 0 to 1, without 1 (Marsaglia's xorshift of 32 bits). */
static double draw(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state / 4294967296.0;
}

/* When the next block's interrupt will be served: in order, as blocks are. */
static void await(void)
{
    double late = draw() * (LATENCY_NS + 1e9 * arguments()->jitter);
    double served = (double)(next + block_frames) * period_ns + late;

    seen_ns = served > seen_ns ? served : seen_ns;
}

void source_start(uint32_t rate_mhz, uint8_t channels)
{
    const uint32_t most = BLOCK_SAMPLES / channels;
    const uint32_t wanted = rate_mhz / 1000 / BLOCKS_PER_S;

    block_frames = (uint16_t)(wanted < 1 ? 1 : wanted < most ? wanted : most);
    told_ns = 1e12 / rate_mhz;
    period_ns = told_ns / (1 + arguments()->clock_error);
    begun_ns = clock_now();
    next = 0;
    seen_ns = 0;
    random_state = 2463534242;
    await();
    width = channels;
}

/* The block's samples; channels that the recording lacks are zero. */
static void copy(void)
{
    const uint8_t there = width < sensor.channels ? width : sensor.channels;
    uint16_t i;

    memset(block, 0, sizeof block);
    for (i = 0; i < block_frames; i++) {
        const uint64_t frame = (next + i) % recorded_frames;
        memcpy(block + (size_t)i * width, recorded + frame * sensor.channels, there * sizeof *block);
    }
}

struct source_block source_read(void)
{
    struct source_block found = {.samples = block};

    if (width == 0 || (double)(clock_now() - begun_ns) < seen_ns) {
        return found;
    }
    copy();
    found.frames = block_frames;
    found.ticks = (uint32_t)(begun_ns + (uint64_t)(int64_t)(seen_ns - block_frames * told_ns));
    next += block_frames;
    await();
    return found;
}

void source_stop(void)
{
    width = 0;
}
