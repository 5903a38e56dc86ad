/* Constants stay in flash on AVR, which reads them by other instructions. KILONET_WEIGHTS and
   KILONET_HOT may name the sections of parameters and of functions, such as
   -DKILONET_HOT='__attribute__((section(".ramfunc")))'. */
#if defined(__AVR__) && !defined(__cplusplus)
#define KILONET_FLASH __flash
#else
#define KILONET_FLASH
#endif
#ifndef KILONET_WEIGHTS
#define KILONET_WEIGHTS
#endif
#ifndef KILONET_HOT
#if defined(__GNUC__)
#define KILONET_HOT __attribute__((noinline)) /* small functions keep their variables in registers */
#else
#define KILONET_HOT
#endif
#endif

#if INT_MAX == 32767 && ($arena_size > 32767 || $data_bytes > 32767)
#error "The network is too large for a processor whose int has 16 bits."
#endif
typedef char shifts_keep_the_sign[(-3 >> 1) == -2 ? 1 : -1];

typedef ${name}_context context;

$types
/* The parameters of all steps: weights as int8; numbers of two bytes with the low byte first. */
static const KILONET_FLASH uint8_t data[$data_bytes] KILONET_WEIGHTS = {
$data
};

/* Where values lie: offset, channels, width, height, rows in the ring, place of row 0. */
static const KILONET_FLASH value values[] = {
$values
};
#define LOGITS $logits_value
#define MAX_ROWS $max_rows /* that a window covers */
#define MAX_BEST $max_best /* sums that are kept for max pooling */

$windows$functions
static const KILONET_FLASH step steps[] = {
$step_rows
};

$network
uint8_t *${name}_context_input(${name}_context *n)
{
    return n->arena + $input;
}

int ${name}_context_run(${name}_context *n, $logit logits[$classes])
{
    n->logits = logits;
    run(n);
    return largest_of(logits);
}

#ifndef KILONET_NO_STATIC
static ${name}_context own;

uint8_t *${name}_input(void)
{
    return ${name}_context_input(&own);
}

int ${name}_run($logit logits[$classes])
{
    return ${name}_context_run(&own, logits);
}

int ${name}_predict(const uint8_t image[$pixels], $logit logits[$classes])
{
    memcpy(${name}_input(), image, $pixels);
    return ${name}_run(logits);
}
#endif
