/* The product of two maps; if step is 0, the second is one number per channel. */
static void multiply(const float *in, int pixels, int channels, const float *factor, int step,
                     float *out)
{
    for (int i = 0; i < pixels; i++)
        for (int c = 0; c < channels; c++)
            out[i * channels + c] = in[i * channels + c] * factor[i * step + c];
}
