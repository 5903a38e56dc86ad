/* One of the maps that are concatenated, in another encoding; its channels begin at `groups`. */
static KILONET_HOT void join(const KILONET_FLASH step *s, context *n, int row)
{
    const KILONET_FLASH value *in = &values[s->in[0]];
    const channel k = channel_of(s, 0);
    const uint8_t *from = row_of(n, s->in[0], row);
    uint8_t *to = row_of(n, s->out, row) + s->groups;

    for (int x = 0; x < in->width; x++, to += values[s->out].channels)
        for (int c = 0; c < in->channels; c++) {
            const int32_t centred = *from++ - s->zero[0];
            store(s, &k, 0, &centred, 1, to + c, 1);
        }
}
