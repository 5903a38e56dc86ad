/* A map as a vector, channel by channel. */
static void flatten(const uint8_t *in, int pixels, int channels, uint8_t *out)
{
    for (int c = 0; c < channels; c++)
        for (int i = 0; i < pixels; i++)
            out[c * pixels + i] = in[i * channels + c];
}
