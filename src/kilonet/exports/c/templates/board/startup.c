/* Start of a program without an operating system: variables get their values, then main runs. */

#include <stdint.h>

extern uint32_t data_begin[], data_end[], data_in_flash[], bss_begin[], bss_end[], stack_top[];
int main(void);

void reset(void);
void reset(void)
{
    const uint32_t *from = data_in_flash;

    for (uint32_t *to = data_begin; to < data_end;)
        *to++ = *from++;
    for (uint32_t *to = bss_begin; to < bss_end;)
        *to++ = 0;
    main();
    for (;;) {
    }
}

#if defined(__arm__)
static void fault(void)
{
    for (;;) {
    }
}

/* The initial stack pointer, then the handlers of reset, NMI and faults. Add the interrupts that you
   use, in the order of your chip's manual. */
__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *stack;
    void (*handlers[15])(void);
} vectors = {stack_top, {reset, fault, fault, fault, fault, fault}};
#else
__attribute__((section(".vectors"), naked, used)) void start(void);
void start(void)
{
    __asm__ volatile("la sp, stack_top\n\tj reset");
}
#endif
