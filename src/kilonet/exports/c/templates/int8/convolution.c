/* Turns sums of one channel into bytes like store, without an activation and faster. */
static KILONET_HOT void store_row(const KILONET_FLASH step *s, const channel *k, const int32_t *sum,
                                  int count, uint8_t *out, int distance)
{
    const int32_t zero = s->zero_out, low = s->low, high = s->high;
    const channel own = *k;

    for (const int32_t *const end = sum + count; sum < end; out += distance) {
        const int32_t v = scaled(*sum++, &own, s->sum_shift, s->shift) + zero;
        *out = (uint8_t)(v < low ? low : v > high ? high : v);
    }
}

/* How to walk through the weights of a filter in one of its orientations. */
typedef struct {
    const KILONET_FLASH int8_t *first;
    int down, across;
} filter;

static filter filter_of(const KILONET_FLASH step *s, int o, int inputs)
{
    const KILONET_FLASH window *w = &windows[s->geometry];
    const int columns = w->columns * inputs, last = w->columns - 1;
    const int turns = s->flags & ROTATED ? o % 4 : 0;
    const KILONET_FLASH int8_t *first = (const KILONET_FLASH int8_t *)(data + s->weight) +
                                        (s->flags & ROTATED ? o / 4 : o) * w->rows * columns;
    filter f = {first, columns, inputs};

    if (turns == 1) {
        f.first += last * inputs, f.down = -inputs, f.across = columns;
    } else if (turns == 2) {
        f.first += last * (columns + inputs), f.down = -columns, f.across = -inputs;
    } else if (turns == 3) {
        f.first += last * columns, f.down = inputs, f.across = -columns;
    }
    return f;
}

#define PART 14 /* windows of a row whose sums are computed at the same time */

/* What is computed at the same time: the sums of some windows of a row, from window `first` on. */
typedef struct {
    const uint8_t *rows[MAX_ROWS];
    filter f;
    int32_t sums[PART], best[MAX_BEST];
    int first, count;
} part;

/* Adds a pixel times a weight to each of some sums. Pixels are `distance` apart. */
static void add_products(int32_t *sum, int count, const uint8_t *pixel, int distance, int zero,
                         int32_t weight)
{
    for (const int32_t *const end = sum + count; sum < end; pixel += distance)
        *sum++ += (*pixel - zero) * weight;
}

/* Adds up row i of the pooled rows of windows of any size, for the inputs from `input` on. */
static KILONET_HOT void add_columns(const KILONET_FLASH step *s, part *p, int i, int input,
                                    int inputs)
{
    const KILONET_FLASH window *w = &windows[s->geometry];
    const KILONET_FLASH value *in = &values[s->in[0]];
    const int distance = w->across * in->channels;

    for (int j = 0; j < w->columns; j++) {
        int x = p->first * w->across + j - w->left, begin = 0, end = p->count;
        for (; x < 0 && begin < end; x += w->across) /* the windows whose column is inside */
            begin++;
        while (begin < end && x + (end - begin - 1) * w->across >= in->width)
            end--;
        for (int r = 0; r < w->rows; r++) {
            const uint8_t *row = p->rows[i * w->down + r];
            const KILONET_FLASH int8_t *weight = p->f.first + r * p->f.down + j * p->f.across;
            for (int c = 0; row && c < inputs; c++)
                add_products(p->sums + begin, end - begin, row + x * in->channels + input + c,
                             distance, s->zero[0], weight[c]);
        }
    }
}

/* The same for windows of three columns without a stride and with padding on both sides. */
static KILONET_HOT void add_three_columns(const KILONET_FLASH step *s, part *p, int i, int input,
                                          int inputs)
{
    const KILONET_FLASH window *w = &windows[s->geometry];
    const int distance = values[s->in[0]].channels, zero = s->zero[0], across = p->f.across;
    const int is_last = p->first + p->count == values[s->in[0]].width;
    const int32_t *const last = p->sums + p->count - 1;

    for (int r = 0; r < w->rows; r++) {
        const uint8_t *row = p->rows[i * w->down + r];
        const KILONET_FLASH int8_t *weight = p->f.first + r * p->f.down;
        for (int c = input; row && c < input + inputs; c++, weight++) {
            const int32_t first = weight[0], second = weight[across], third = weight[2 * across];
            const uint8_t *pixel = row + p->first * distance + c;
            int32_t left = p->first ? pixel[-distance] - zero : 0, middle = *pixel - zero;
            int32_t *sum = p->sums;
            while (sum < last) {
                pixel += distance;
                const int32_t right = *pixel - zero;
                *sum++ += left * first + middle * second + right * third;
                left = middle;
                middle = right;
            }
            *sum += left * first + middle * second;
            *sum += is_last ? 0 : (pixel[distance] - zero) * third;
        }
    }
}

/* Max pooling of a row of sums; the first row of a window begins anew. */
static KILONET_HOT void keep_largest(part *p, int pooled, int begins)
{
    int32_t *best = p->best;

    for (const int32_t *sum = p->sums, *end = sum + p->count; sum < end; best++) {
        if (begins)
            *best = *sum;
        for (int i = 0; i < pooled; i++, sum++)
            *best = *sum > *best ? *sum : *best;
    }
}

/* Convolution, then max pooling of the sums. Weight order: [filter][row][column][input]. */
static void convolution(const KILONET_FLASH step *s, context *n, int row)
{
    const KILONET_FLASH window *w = &windows[s->geometry];
    const KILONET_FLASH value *out = &values[s->out];
    const int inputs = values[s->in[0]].channels / s->groups, group = out->channels / s->groups;
    const int pooled = w->pool_down * w->pool_across > 1, whole = PART / w->pool_across;
    const int three = w->columns == 3 && w->across == 1 && w->left == 1 && w->right == 1;
    uint8_t *const first = row_of(n, s->out, row);
    part p;

    find_rows(s, n, row, p.rows);
    for (int o = 0, input = 0, rest = group; o < out->channels; o++) {
        const channel k = channel_of(s, o);
        uint8_t *result = first + o;
        p.f = filter_of(s, o, inputs);
        for (int x = 0; x < out->width; x += whole) {
            const int count = out->width - x < whole ? out->width - x : whole;
            p.first = x * w->pool_across;
            p.count = count * w->pool_across;
            for (int i = 0; i < w->pool_down; i++) {
                for (int j = 0; j < p.count; j++)
                    p.sums[j] = 0;
                if (three)
                    add_three_columns(s, &p, i, input, inputs);
                else
                    add_columns(s, &p, i, input, inputs);
                if (pooled)
                    keep_largest(&p, w->pool_across, i == 0);
            }
            if (s->activation == NONE)
                store_row(s, &k, pooled ? p.best : p.sums, count, result, out->channels);
            else
                store(s, &k, 0, p.sums, count, result, out->channels);
            result += count * out->channels;
        }
        if (--rest == 0)
            rest = group, input += inputs;
    }
}
