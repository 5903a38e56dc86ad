/* The mean of each window; there is no padding. */
static KILONET_HOT void mean(const KILONET_FLASH step *s, context *n, int row)
{
    const KILONET_FLASH value *in = &values[s->in[0]];
    const KILONET_FLASH window *w = &windows[s->geometry];
    const int channels = in->channels, columns = values[s->out].width;
    uint8_t *out = row_of(n, s->out, row);

    for (int i = 0; i < columns * channels; i++) {
        int32_t sum = 0;
        for (int y = 0; y < w->rows; y++) {
            const uint8_t *pixel = row_of(n, s->in[0], row * w->down + y) +
                                   i / channels * w->across * channels + i % channels;
            for (int x = 0; x < w->columns; x++, pixel += channels)
                sum += *pixel - s->zero[0];
        }
        put(s, n, i % channels, sum, out + i);
    }
}
