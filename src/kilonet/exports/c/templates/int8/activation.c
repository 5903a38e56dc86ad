/* A change of encoding, with an activation if there is one. Each channel has its own multiplier; if
   step is 0, all have the first. */
static void activation(const uint8_t *in, int pixels, int channels, int zero,
                       const uint16_t *multiplier, int step, int shift, const requantisation *q,
                       uint8_t *out)
{
    for (int i = 0; i < pixels; i++)
        for (int c = 0; c < channels; c++, in++)
            *out++ = (uint8_t)requantise(
                rounded((int64_t)(*in - zero) * multiplier[c * step], shift), q, c);
}
