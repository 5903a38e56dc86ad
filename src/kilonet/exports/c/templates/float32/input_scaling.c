/* Normalisation of pixels 0-255: a scale and an offset for each channel. */
static void input_scaling(const uint8_t *image, int pixels, int channels, const float *scale,
                          const float *offset, float *out)
{
    for (int i = 0; i < pixels; i++)
        for (int c = 0; c < channels; c++)
            out[i * channels + c] = scale[c] * (float)image[i * channels + c] + offset[c];
}
