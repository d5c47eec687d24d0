/* From reset to main(). A fault stops here, and the host hears no more. */
#include <stdint.h>

extern uint32_t stack_top[], data_start[], data_end[], bss_start[], bss_end[];
extern const uint32_t data_load[];

int main(void);
void Reset_Handler(void);

static void stop(void)
{
    for (;;)
        ;
}

typedef void (*vector)(void);
__attribute__((section(".vectors"), used)) static const vector vectors[16] = {
    (vector)(uintptr_t)stack_top, Reset_Handler, stop, stop, stop, stop, stop, stop,
    stop, stop, stop, stop, stop, stop, stop, stop,
};

void Reset_Handler(void)
{
    const uint32_t *from = data_load;

    for (uint32_t *to = data_start; to < data_end; to++)
        *to = *from++;
    for (uint32_t *to = bss_start; to < bss_end; to++)
        *to = 0;
    (void)main();
    stop();
}
