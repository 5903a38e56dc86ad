/* A map as a vector, channel by channel. */
static KILONET_HOT void flatten(const KILONET_FLASH step *s, context *n, int row)
{
    const KILONET_FLASH value *in = &values[s->in[0]];
    uint8_t *out = row_of(n, s->out, row);

    for (int c = 0; c < in->channels; c++)
        for (int y = 0; y < in->height; y++)
            for (int x = 0; x < in->width; x++)
                *out++ = row_of(n, s->in[0], y)[x * in->channels + c];
}
