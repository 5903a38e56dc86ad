/* A value in another encoding, through a curve if there is one. Each channel has its own
   multiplier, or all have the first if step is 0. */
static void activation(const uint8_t *in, int pixels, int channels, int zero,
                       const uint16_t *multiplier, int step, int shift, const ending *e,
                       uint8_t *out)
{
    for (int i = 0; i < pixels; i++)
        for (int c = 0; c < channels; c++, in++)
            *out++ = (uint8_t)ended(
                rounded((int64_t)(*in - zero) * multiplier[c * step], shift), e, c);
}
