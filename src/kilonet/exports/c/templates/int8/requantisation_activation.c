/* Requantisation of a scaled sum v: the activation, if there is one, of v in 1024ths, times
   multiplier / 2^shift; then plus the zero point, between low and high. */
typedef struct {
    int zero_point, low, high;
    enum { NONE, SILU, SIGMOID, LEAKY_RELU } activation;
    int multiplier, shift;
    const uint8_t *divisors; /* a factor of the multiplier for each channel, or null */
$orientation_shift    int slope; /* of LEAKY_RELU, in 1/32768 */
} requantisation;

/* 32768 * sigmoid at 0, 1/16, ... 8 */
static const uint16_t sigmoid_table[129] = {
$table
};

/* 32768 * sigmoid(v / 1024), interpolated. */
static int32_t sigmoid(int32_t v)
{
    const int32_t size = v < 0 ? -v : v;
    const int32_t index = size / 64 < 127 ? size / 64 : 127;
    const int32_t part = size - index * 64 < 64 ? size - index * 64 : 64;
    const int32_t step = (int32_t)sigmoid_table[index + 1] - (int32_t)sigmoid_table[index];
    const int32_t gate = sigmoid_table[index] + (step * part + 32) / 64;

    return v < 0 ? 32768 - gate : gate;
}

static int requantise(int64_t v, const requantisation *q, int channel)
{
    if (q->activation != NONE) {
        const int32_t x = (int32_t)(v < -32768 ? -32768 : v > 32767 ? 32767 : v);
        const int32_t y = q->activation == SILU      ? x * sigmoid(x)
                          : q->activation == SIGMOID ? sigmoid(x) * 1024
                                                     : x * (x < 0 ? q->slope : 32768);
        const int32_t multiplier =
            q->multiplier * (q->divisors ? q->divisors[$index] : 1);
        v = rounded((int64_t)y * multiplier, q->shift);
    }
    v += q->zero_point;
    return (int)(v < q->low ? q->low : v > q->high ? q->high : v);
}
