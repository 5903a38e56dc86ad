/* The sum of two values, each with its zero and its multiplier. */
static void add(const uint8_t *left, int left_zero, int left_multiplier, const uint8_t *right,
                int right_zero, int right_multiplier, int count, int shift, const ending *e,
                uint8_t *out)
{
    for (int i = 0; i < count; i++) {
        const int64_t sum = (int64_t)(left[i] - left_zero) * left_multiplier +
                            (int64_t)(right[i] - right_zero) * right_multiplier;
        out[i] = (uint8_t)ended(rounded(sum, shift), e);
    }
}
