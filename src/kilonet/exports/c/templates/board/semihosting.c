/* Arm and RISC-V in QEMU: images come from a file and text goes to the console by semihosting. */
static uintptr_t semihosting(uintptr_t operation, const void *arguments)
{
#if defined(__arm__)
    register uintptr_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = arguments;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
#else
    register uintptr_t a0 __asm__("a0") = operation;
    register const void *a1 __asm__("a1") = arguments;
    __asm__ volatile(".option push\n\t.option norvc\n\tslli x0, x0, 0x1f\n\tebreak\n\t"
                     "srai x0, x0, 7\n\t.option pop" : "+r"(a0) : "r"(a1) : "memory");
    return a0;
#endif
}

static void print(const char *text)
{
    semihosting(0x04, text); /* SYS_WRITE0 */
}

static void stop(void)
{
    const uintptr_t arguments[2] = {0x20026, 0}; /* ADP_Stopped_ApplicationExit */

    semihosting(0x20, arguments); /* SYS_EXIT_EXTENDED */
}

static int next_image(uint8_t *image)
{
    static uintptr_t file;
    static const char path[] = "images.bin";

    if (!file) {
        const uintptr_t arguments[3] = {(uintptr_t)path, 1, sizeof path - 1}; /* "rb" */
        file = semihosting(0x01, arguments) + 1; /* SYS_OPEN */
    }
    const uintptr_t arguments[3] = {file - 1, (uintptr_t)image, $pixels};
    return semihosting(0x06, arguments) == 0; /* SYS_READ: 0 bytes are missing */
}

#if defined(__arm__)
#define SYSTICK ((volatile uint32_t *)0xE000E010)
#define TICKS 0xFFFFFF
#define LOOP ".syntax unified\n1:\tsubs %0, %0, #1\n\tbne 1b"

static uint32_t ticks(void)
{
    return 0u - SYSTICK[2]; /* it counts down; 24 bits */
}
#else
#define TICKS 0xFFFFFFFF
#define LOOP "1:\taddi %0, %0, -1\n\tbnez %0, 1b"

static uint32_t ticks(void)
{
    uint32_t count;
    __asm__ volatile(".option push\n\t.option arch, +zicsr\n\tcsrr %0, mcycle\n\t.option pop"
                     : "=r"(count));
    return count;
}
#endif

static void print_number(int32_t number);

/* QEMU gives each instruction the same time. Prints the ticks of 2,000,000 instructions. */
static void start_clock(void)
{
#if defined(__arm__)
    SYSTICK[1] = TICKS;
    SYSTICK[2] = 0;
    SYSTICK[0] = 5; /* enabled, from the processor's clock */
#endif
    const uint32_t start = ticks();
    uint32_t rounds = 1000000;
    __asm__ volatile(LOOP : "+r"(rounds) : : "cc");
    print_number((int32_t)((ticks() - start) & TICKS));
    print("\n");
}
