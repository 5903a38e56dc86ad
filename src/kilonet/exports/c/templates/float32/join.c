/* Copies the channels of one map into a map of all channels. */
static void join(const float *in, int pixels, int channels, int all_channels, float *out)
{
    for (int i = 0; i < pixels; i++)
        for (int c = 0; c < channels; c++)
            out[i * all_channels + c] = in[i * channels + c];
}
