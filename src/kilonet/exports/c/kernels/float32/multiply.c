/* Each pixel's channels times those of another map, or times one number a channel if step is 0. */
static void multiply(const float *in, int pixels, int channels, const float *factor, int step,
                     float *out)
{
    for (int i = 0; i < pixels; i++)
        for (int c = 0; c < channels; c++)
            out[i * channels + c] = in[i * channels + c] * factor[i * step + c];
}
