/* How a scaled sum v becomes a stored value: through a curve, if there is one, then times
   multiplier / 2^shift, plus what stands for 0, between low and high. v is in 1024ths for curves. */
typedef struct {
    int zero, low, high;
    enum { LINE, SILU, SIGMOID, LEAKY } curve;
    int multiplier, shift;
    const uint8_t *parts; /* each channel's factor of the multiplier, or null */
$orientation_shift    int slope; /* of LEAKY, below 0, in 1/32768 */
} ending;

/* 32768 times the sigmoid at 0, 1/16, ... 8 */
static const uint16_t sigmoid_table[129] = {
$table
};

/* 32768 times the sigmoid of v / 1024, interpolated. */
static int32_t sigmoid(int32_t v)
{
    const int32_t size = v < 0 ? -v : v;
    const int32_t index = size / 64 < 127 ? size / 64 : 127;
    const int32_t part = size - index * 64 < 64 ? size - index * 64 : 64;
    const int32_t step = (int32_t)sigmoid_table[index + 1] - (int32_t)sigmoid_table[index];
    const int32_t gate = sigmoid_table[index] + (step * part + 32) / 64;

    return v < 0 ? 32768 - gate : gate;
}

static int ended(int64_t v, const ending *e, int channel)
{
    if (e->curve != LINE) {
        const int32_t x = (int32_t)(v < -32768 ? -32768 : v > 32767 ? 32767 : v);
        const int32_t y = e->curve == SILU      ? x * sigmoid(x)
                          : e->curve == SIGMOID ? sigmoid(x) * 1024
                                                : x * (x < 0 ? e->slope : 32768);
        const int32_t multiplier = e->multiplier * (e->parts ? e->parts[$part] : 1);
        v = rounded((int64_t)y * multiplier, e->shift);
    }
    v += e->zero;
    return (int)(v < e->low ? e->low : v > e->high ? e->high : v);
}
