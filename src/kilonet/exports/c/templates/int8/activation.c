/* A change of encoding, with an activation if there is one. */
static void activation(const KILONET_FLASH step *s, context *n, int row)
{
    const KILONET_FLASH value *map = &values[s->out];
    const int channels = map->channels, end = map->width * channels, zero = s->zero[0];
    const uint8_t *from = row_of(n, s->in[0], row);
    uint8_t *to = row_of(n, s->out, row);

    for (int c = 0; c < channels; c++) {
        const channel k = channel_of(s, c);
        for (int first = c, i = c; first < end; first = i) {
            int32_t centred[8];
            int count = 0;
            for (; count < 8 && i < end; i += channels)
                centred[count++] = from[i] - zero;
            store(s, &k, 0, centred, count, to + first, channels);
        }
    }
}
