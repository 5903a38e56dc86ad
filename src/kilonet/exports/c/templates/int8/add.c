/* The sum of two values, each with its zero point and its factor. */
static KILONET_HOT void add(const KILONET_FLASH step *s, context *n, int row)
{
    const KILONET_FLASH value *map = &values[s->out];
    const uint8_t *left = row_of(n, s->in[0], row), *right = row_of(n, s->in[1], row);
    const int32_t first = s->factor[0], second = s->factor[1];
    const int32_t zero = s->zero_out, low = s->low, high = s->high;
    const uint8_t shift = s->shift;
    /* minus the zero points, plus half a step, so that the shift rounds */
    const int32_t constant = ((int32_t)1 << (shift - 1)) - s->zero[0] * first - s->zero[1] * second;
    uint8_t *to = row_of(n, s->out, row);

    for (const uint8_t *const end = to + map->width * map->channels; to < end; to++) {
        int32_t v = (*left++ * first + *right++ * second + constant) >> shift;
        $activate_sum
        v += zero;
        *to = (uint8_t)(v < low ? low : v > high ? high : v);
    }
}
