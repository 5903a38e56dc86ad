/* A value in another encoding, through a curve if there is one. */
static void activation(const uint8_t *in, int count, int zero, int multiplier, int shift,
                       const ending *e, uint8_t *out)
{
    for (int i = 0; i < count; i++)
        out[i] = (uint8_t)ended(rounded((int64_t)(in[i] - zero) * multiplier, shift), e);
}
