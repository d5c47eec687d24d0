#include "app.h"
#include "port.h"

int main(void)
{
    port_init();
    app_init();
    for (;;) {
        if (!app_step()) {
            port_sleep();
        }
    }
}
