/* The scaling of a layer's sums: each output channel has a multiplier and an offset. */
typedef struct {
    int zero_point; /* of the input */
    int offset_shift, shift;
    const uint16_t *multiplier;
    const int16_t *offset;
} scaling;

static int64_t scaled(int32_t sum, const scaling *s, int o)
{
    const int64_t offset = s->offset[o] * ((int64_t)1 << s->offset_shift);

    return rounded((int64_t)sum * s->multiplier[o] + offset, s->shift);
}
