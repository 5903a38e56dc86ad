/* A matrix times all values of the input. Weight order: [output][row][column][channel]. */
static KILONET_HOT void linear(const KILONET_FLASH step *s, context *n, int row)
{
    const KILONET_FLASH value *in = &values[s->in[0]];
    const int count = in->width * in->channels, zero = s->zero[0];
    const KILONET_FLASH int8_t *weight = (const KILONET_FLASH int8_t *)(data + s->weight);
    uint8_t *out = row_of(n, s->out, row);

    for (int o = 0; o < values[s->out].channels; o++) {
        int32_t sum = 0;
        for (int y = 0; y < in->height; y++) {
            const uint8_t *pixel = row_of(n, s->in[0], y);
            for (int i = 0; i < count; i++)
                sum += (int32_t)(*pixel++ - zero) * *weight++;
        }
        put(s, n, o, sum, out + o);
    }
}
