#include "detector.h"

const struct hans_spec hans_blank_spec = {.rate_mhz = 0};
