/*
 * The application: messages to core calls to messages. Runs on its own from power-on; a host may take over.
 */
#ifndef APP_H_
#define APP_H_

#ifndef HOST_PATIENCE_S
#define HOST_PATIENCE_S 120 /* without a request, after which the device runs on its own again (SPEC.md section 10.2) */
#endif

/* Prepare the core and start the sample source. Once, after port_init. */
void app_init(void);

/* Answer at most one packet and take at most one block of samples. Returns 0 if there was nothing to do. */
int app_step(void);

#endif
