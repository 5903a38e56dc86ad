/* The channels of one map, in another encoding, among those of a wider one. */
static void join(const uint8_t *in, int zero, int multiplier, int pixels, int channels,
                 int all_channels, int shift, const ending *e, uint8_t *out)
{
    for (int i = 0; i < pixels; i++)
        for (int c = 0; c < channels; c++)
            out[i * all_channels + c] = (uint8_t)ended(
                rounded((int64_t)(in[i * channels + c] - zero) * multiplier, shift), e, c);
}
