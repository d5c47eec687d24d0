#include "../bare/waveform_source.c"
