/* Runs $name on images that the emulator hands in. Prints a line for each: class, ticks of the clock,
   bytes of stack, logits. The first line is the number of ticks that 2,000,000 instructions take. */

#include "$name.h"

static void print(const char *text);
static uint32_t ticks(void);
static int next_image(uint8_t *image);

extern char _end[];

$board
static void print_number(int32_t number)
{
    char text[12];
    char *digit = text + sizeof text - 1;
    uint32_t rest = number < 0 ? 0u - (uint32_t)number : (uint32_t)number;

    *digit = 0;
    do {
        *--digit = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (number < 0)
        *--digit = '-';
    print(digit);
}

#define UNUSED_STACK 0xA5

/* Fills the memory below the stack pointer, so that its use can be seen afterwards. */
__attribute__((noinline)) static char *paint_stack(void)
{
    char *const here = (char *)__builtin_frame_address(0);

    for (volatile char *byte = (volatile char *)_end; byte < here - 48; byte++)
        *byte = (char)UNUSED_STACK;
    return here;
}

static int32_t used_stack(const char *top)
{
    const volatile char *byte = (const volatile char *)_end;

    while (byte < top && *byte == (char)UNUSED_STACK)
        byte++;
    return (int32_t)(top - (const char *)byte);
}

int main(void)
{
    static uint8_t image[$pixels];
    static $logit logits[$classes];

    start_clock();
    while (next_image(image)) {
        const char *const top = paint_stack();
        const uint32_t start = ticks();
        const int best = ${name}_predict(image, logits);
        const uint32_t end = ticks();
        const int32_t stack = used_stack(top);

        print_number(best);
        print(" ");
        print_number((int32_t)((end - start) & TICKS));
        print(" ");
        print_number(stack);
        for (int i = 0; i < $classes; i++) {
            print(" ");
            print_number((int32_t)logits[i]);
        }
        print("\n");
    }
    stop();
    return 0;
}
