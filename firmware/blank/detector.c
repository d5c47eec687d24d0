#include "detector.h"

const struct hans_model hans_blank_model = {.magic = 0};
