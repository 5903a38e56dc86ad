/* Finds the rows of the input that the window of an output row covers; null where there is none. */
static KILONET_HOT void find_rows(const KILONET_FLASH step *s, context *n, int row, const uint8_t **rows)
{
    const KILONET_FLASH window *w = &windows[s->geometry];
    const int count = w->rows + (w->pool_down - 1) * w->down;
    const int first = row * w->pool_down * w->down - w->top;

    for (int i = 0; i < count; i++) {
        const int wanted = first + i;
        rows[i] = wanted < 0 || wanted >= values[s->in[0]].height ? 0 : row_of(n, s->in[0], wanted);
    }
}
