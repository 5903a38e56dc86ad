/* The largest value in each window. */
static KILONET_HOT void max_pool(const KILONET_FLASH step *s, context *n, int row)
{
    const KILONET_FLASH value *in = &values[s->in[0]], *v = &values[s->out];
    const KILONET_FLASH window *w = &windows[s->geometry];
    const uint8_t *rows[MAX_ROWS];
    uint8_t *out = row_of(n, s->out, row);

    find_rows(s, n, row, rows);
    for (int i = 0; i < v->width * v->channels; i++) {
        const int left = i / v->channels * w->across - w->left;
        uint8_t best = 0;
        for (int j = 0; j < w->rows; j++) {
            for (int x = left; x < left + w->columns; x++) {
                if (!rows[j] || x < 0 || x >= in->width)
                    continue;
                const uint8_t found = rows[j][x * in->channels + i % v->channels];
                best = found > best ? found : best;
            }
        }
        out[i] = best;
    }
}
