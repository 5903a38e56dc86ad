/* How a layer's sums are scaled: each output channel has a multiplier and an offset, bytes in units
   that the layer has. */
typedef struct {
    int zero; /* what stands for 0 in the input */
    int shift, multiplier_unit;
    int64_t offset_unit;
    int orientation_shift; /* 2 if four orientation channels share one multiplier, else 0 */
    const uint8_t *multiplier;
    const int8_t *offset; /* or null */
} scaling;

static int64_t scaled(int32_t sum, const scaling *s, int o)
{
    const int32_t multiplier = s->multiplier[o >> s->orientation_shift] * s->multiplier_unit;
    const int64_t offset = s->offset ? s->offset[o] * s->offset_unit : 0;

    return rounded((int64_t)sum * multiplier + offset, s->shift);
}
