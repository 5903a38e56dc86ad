/* Copies the channels of one map, in another encoding, into a map of all channels. */
static void join(const uint8_t *in, int zero, int multiplier, int pixels, int channels,
                 int all_channels, int shift, const requantisation *q, uint8_t *out)
{
    for (int i = 0; i < pixels; i++)
        for (int c = 0; c < channels; c++)
            out[i * all_channels + c] = (uint8_t)requantise(
                rounded((int64_t)(in[i * channels + c] - zero) * multiplier, shift), q, c);
}
