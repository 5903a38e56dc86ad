/* The product of two maps; the second may be one number for each channel. */
static KILONET_HOT void multiply(const KILONET_FLASH step *s, context *n, int row)
{
    const KILONET_FLASH value *v = &values[s->out];
    const int per_channel = values[s->in[1]].height < v->height || values[s->in[1]].width < v->width;
    const uint8_t *left = row_of(n, s->in[0], row);
    const uint8_t *right = row_of(n, s->in[1], per_channel ? 0 : row);
    uint8_t *to = row_of(n, s->out, row);

    for (int c = 0; c < v->channels; c++) {
        const channel k = channel_of(s, c);
        for (int i = c; i < v->width * v->channels; i += v->channels) {
            const int32_t product = (int32_t)(left[i] - s->zero[0]) *
                                    (right[per_channel ? c : i] - s->zero[1]);
            store(s, &k, 0, &product, 1, to + i, 1);
        }
    }
}
