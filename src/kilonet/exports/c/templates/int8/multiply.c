/* The product of two maps; if step is 0, the second is one number per channel. */
static void multiply(const uint8_t *in, int zero, int pixels, int channels, const uint8_t *factor,
                     int factor_zero, int step, int multiplier, int shift, const requantisation *q,
                     uint8_t *out)
{
    for (int i = 0; i < pixels; i++) {
        for (int c = 0; c < channels; c++) {
            const int32_t product =
                (in[i * channels + c] - zero) * (factor[i * step + c] - factor_zero);
            out[i * channels + c] =
                (uint8_t)requantise(rounded((int64_t)product * multiplier, shift), q, c);
        }
    }
}
