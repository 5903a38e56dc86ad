/* Stores the only sum of a channel: in the row, or as a logit. */
static void put(const KILONET_FLASH step *s, context *n, int c, int32_t sum, uint8_t *out)
{
    const channel k = channel_of(s, c);

    if (s->out == LOGITS) {
        const int32_t v = scaled(sum, &k, s->sum_shift, s->shift);
        n->logits[c] = (int16_t)(v < s->low ? s->low : v > s->high ? s->high : v);
    } else {
        store(s, &k, 0, &sum, 1, out, 1);
    }
}
