/* The sum of two values, each with its zero point and its multiplier. */
static void add(const uint8_t *left, int left_zero, int left_multiplier, const uint8_t *right,
                int right_zero, int right_multiplier, int pixels, int channels, int shift,
                const requantisation *q, uint8_t *out)
{
    for (int i = 0; i < pixels; i++) {
        for (int c = 0; c < channels; c++) {
            const int64_t sum = (int64_t)(*left++ - left_zero) * left_multiplier +
                                (int64_t)(*right++ - right_zero) * right_multiplier;
            *out++ = (uint8_t)requantise(rounded(sum, shift), q, c);
        }
    }
}
