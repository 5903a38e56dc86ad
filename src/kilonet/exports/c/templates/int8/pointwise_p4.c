/* 1x1 convolution of orientation channels. One of every four filters is stored,
   [field][input field][input]; the others shift its weights cyclically within each four inputs. */
static KILONET_HOT void pointwise_p4(const KILONET_FLASH step *s, context *n, int row)
{
    const KILONET_FLASH value *in = &values[s->in[0]], *out = &values[s->out];
    const KILONET_FLASH window *w = &windows[s->geometry];
    const KILONET_FLASH int8_t *field = (const KILONET_FLASH int8_t *)(data + s->weight);
    const int zero = s->zero[0], inputs = in->channels;
    const uint8_t *const first = row_of(n, s->in[0], row * w->down);
    uint8_t *const output = row_of(n, s->out, row);

    for (int o = 0; o < out->channels; o += 4, field += inputs) {
        const channel k[4] = {channel_of(s, o), channel_of(s, o + 1), channel_of(s, o + 2),
                              channel_of(s, o + 3)};
        const uint8_t *pixel = first;
        uint8_t *result = output + o;
        for (int x = 0; x < out->width; x++, pixel += w->across * inputs) {
            const KILONET_FLASH int8_t *weight = field;
            int32_t p = 0, q = 0, r = 0, t = 0;
            for (int c = 0; c < inputs; c += 4) {
                const int32_t a = pixel[c] - zero, b = pixel[c + 1] - zero;
                const int32_t d = pixel[c + 2] - zero, e = pixel[c + 3] - zero;
                int32_t factor = *weight++;
                p += a * factor, q += b * factor, r += d * factor, t += e * factor;
                factor = *weight++;
                p += b * factor, q += d * factor, r += e * factor, t += a * factor;
                factor = *weight++;
                p += d * factor, q += e * factor, r += a * factor, t += b * factor;
                factor = *weight++;
                p += e * factor, q += a * factor, r += b * factor, t += d * factor;
            }
            const int32_t sums[4] = {p, q, r, t};
            store(s, k, 1, sums, 4, result, 1);
            result += out->channels;
        }
    }
}
