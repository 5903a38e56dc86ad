/* The scaling of a layer's sums: each output channel has a multiplier and an offset, stored as bytes
   times a unit of the layer. */
typedef struct {
    int zero_point; /* of the input */
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
