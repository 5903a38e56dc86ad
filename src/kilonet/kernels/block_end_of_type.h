/* Part of block_end.c, for numbers of type T. WIDE is a type of 32 bits that holds a T as it is
 * stored: vectors gather only those. */

typedef struct {
    const int32_t *at, *column; /* of each element of a row: its window, and its column in that */
    float *values;
    int32_t *places;
    WIDE *gathered;
} NAME(Row);

/* Pool one image to z; place is which of a window's elements was the largest, the
 * first of equals in reading order. */
static void NAME(pool)(const T *restrict x, const Shape *s, T *restrict z, uint8_t *restrict place,
                       const NAME(Row) *row)
{
    long side = s->side, channels = s->channels, full = s->width * channels, pooled = pooled_row(s);
    float *restrict values = row->values;
    int32_t *restrict places = row->places;
    const int32_t *restrict first = row->at;
    for (long r = 0; r < s->height / side; r++, z += pooled, place += pooled) {
        const T *restrict line = x + r * side * full;
        for (long j = 0; j < full; j++) values[j] = LOAD(line[j]), places[j] = 0;
        for (long k = 1; k < side; k++) {
            const T *restrict next = line + k * full;
            for (long j = 0; j < full; j++) {
                float value = LOAD(next[j]);
                places[j] = value > values[j] ? (int32_t)(k * side) : places[j];
                values[j] = value > values[j] ? value : values[j];
            }
        }
        for (long j = 0; j < pooled; j++) {
            float best = values[first[j]];
            int32_t where = places[first[j]];
            for (long k = 1; k < side; k++) {
                float value = values[first[j] + k * channels];
                int32_t there = places[first[j] + k * channels] + (int32_t)k;
                int32_t nearer = value > best || (value == best && there < where);
                where = nearer ? there : where;
                best = value > best ? value : best;
            }
            z[j] = STORE(best);
            place[j] = (uint8_t)where;
        }
    }
}

/* The gradient of one image: dz where the largest of each window was, zero elsewhere. */
static void NAME(unpool)(const T *restrict dz, const uint8_t *restrict place, const Shape *s,
                         T *restrict dx, const NAME(Row) *row)
{
    long side = s->side, full = s->width * s->channels, pooled = pooled_row(s);
    long covered = pooled * side, rows = s->height / side;
    WIDE *restrict gathered = row->gathered;
    int32_t *restrict places = row->places;
    const int32_t *restrict at = row->at, *restrict column = row->column;
    for (long r = 0; r < rows; r++, dz += pooled, place += pooled) {
        for (long j = 0; j < pooled; j++) gathered[j] = (WIDE)dz[j], places[j] = place[j];
        for (long k = 0; k < side; k++, dx += full) {
            int32_t before = (int32_t)(k * side);
            for (long j = 0; j < covered; j++)
                dx[j] = (T)(places[at[j]] == before + column[j] ? gathered[at[j]] : 0);
            memset(dx + covered, 0, (size_t)(full - covered) * sizeof(T));
        }
    }
    memset(dx, 0, (size_t)((s->height - rows * side) * full) * sizeof(T));
}

/* Sums over count elements of the distance from centre, and of its square. */
INLINE void NAME(add_up)(const T *restrict z, long count, long period, const float *restrict centre,
                         float *restrict sum, float *restrict squares)
{
    for (long i = 0; i < count; i += period) {
        long end = count - i < period ? count - i : period;
        for (long j = 0; j < end; j++) {
            float distance = LOAD(z[i + j]) - centre[j];
            sum[j] += distance;
            squares[j] += distance * distance;
        }
    }
}

INLINE void NAME(apply)(const T *restrict z, long count, long period, const float *restrict scale,
                        const float *restrict shift, const int activation, const int drops,
                        const int16_t *restrict draws, int least, float factor, T *restrict y)
{
    for (long i = 0; i < count; i += period) {
        long end = count - i < period ? count - i : period;
        for (long j = 0; j < end; j++) {
            float value = activated(LOAD(z[i + j]) * scale[j] + shift[j], activation);
            if (drops) value = draws[i + j] >= least ? factor * value : 0.0f;
            y[i + j] = STORE(value);
        }
    }
}

/* The gradient before the nonlinearity, g, and its sums, alone and times the distance from centre. */
INLINE void NAME(add_up_gradient)(const T *restrict z, const T *restrict dy, long count, long period,
                                  const float *restrict scale, const float *restrict shift,
                                  const float *restrict centre, const int activation,
                                  const int drops, const int16_t *restrict draws, int least,
                                  float factor, T *restrict g, float *restrict sum,
                                  float *restrict product)
{
    for (long i = 0; i < count; i += period) {
        long end = count - i < period ? count - i : period;
        for (long j = 0; j < end; j++) {
            float x = LOAD(z[i + j]);
            float gradient = LOAD(dy[i + j]) * slope(x * scale[j] + shift[j], activation);
            if (drops) gradient = draws[i + j] >= least ? factor * gradient : 0.0f;
            g[i + j] = STORE(gradient);
            sum[j] += gradient;
            product[j] += gradient * (x - centre[j]);
        }
    }
}

/* g, where it is, becomes the gradient before batch norm. */
INLINE void NAME(through_norm)(const T *restrict z, long count, long period,
                               const float *restrict scale, const float *restrict centre,
                               const float *restrict tilt, const float *restrict offset,
                               T *restrict g)
{
    for (long i = 0; i < count; i += period) {
        long end = count - i < period ? count - i : period;
        for (long j = 0; j < end; j++)
            g[i + j] = STORE(scale[j] * LOAD(g[i + j]) + tilt[j] * (LOAD(z[i + j]) - centre[j])
                             + offset[j]);
    }
}

/* Tables of a row for pooling (first of each window) or for its gradient (window of each element). */
static void *NAME(row_of)(const Shape *s, int backwards, NAME(Row) *row)
{
    long full = s->width * s->channels, channels = s->channels, side = s->side;
    int32_t *memory = calloc((size_t)full * 5, sizeof *memory);
    if (!memory) return NULL;
    int32_t *at = memory, *column = memory + full;
    if (backwards)
        for (long j = 0; j < pooled_row(s) * side; j++) {
            at[j] = (int32_t)(j / channels / side * channels + j % channels);
            column[j] = (int32_t)(j / channels % side);
        }
    else
        for (long j = 0; j < pooled_row(s); j++)
            at[j] = (int32_t)(j / channels * side * channels + j % channels);
    row->at = at;
    row->column = column;
    row->places = memory + 2 * full;
    row->values = (float *)(memory + 3 * full);
    row->gathered = (WIDE *)(memory + 4 * full);
    return memory;
}

/* y of x, both of T. With side > 1, z and place take what pooling leaves; else z is x. centre and
 * inverse take the batch's mean and 1/sqrt(variance + epsilon) by channel; the running ones move.
 * draws are one of each element of y; those below least are dropped and the others scaled by factor;
 * NULL for no dropout. Returns 0, or 1 if there is no memory. */
int NAME(forward)(const T *x, long images, long height, long width, long channels, long side, T *z,
                  uint8_t *place, const float *weight, const float *bias, float *running_mean,
                  float *running_variance, float momentum, float epsilon, float *centre,
                  float *inverse, int activation, const int16_t *draws, int least, float factor, T *y)
{
    const Shape s = {images, height, width, channels, side};
    long period = period_of(channels), one = pooled_image(&s), all = one * images;
    long portion = portion_of(&s, period);
    NAME(Row) row;
    double *sums = calloc((size_t)channels * 2, sizeof *sums), *squares = sums + channels;
    float *memory = calloc((size_t)period * 4, sizeof *memory);
    void *rows = NAME(row_of)(&s, 0, &row);
    int failed = !sums || !memory || !rows;
    if (!failed) {
        float *sum = memory, *square = sum + period, *scale = square + period, *shift = scale + period;
        for (long j = 0; j < period; j++) scale[j] = running_mean[j % channels];
        for (long i = 0; i < all; i += portion) {
            long count = all - i < portion ? all - i : portion;
            if (side > 1)
                for (long k = i; k < i + count; k += one)
                    NAME(pool)(x + k / one * height * width * channels, &s, z + k, place + k, &row);
            memset(sum, 0, (size_t)period * 2 * sizeof *sum);
            NAME(add_up)(z + i, count, period, scale, sum, square);
            for (long j = 0; j < period; j++)
                sums[j % channels] += sum[j], squares[j % channels] += square[j];
        }
        double number = (double)(all / channels);
        for (long c = 0; c < channels; c++) {
            double distance = sums[c] / number;
            double variance = squares[c] / number - distance * distance;
            variance = variance < 0 ? 0 : variance;
            centre[c] = (float)(running_mean[c] + distance);
            inverse[c] = (float)(1 / sqrt(variance + epsilon));
            running_mean[c] += momentum * (float)distance;
            variance *= number / (number - 1);
            running_variance[c] += momentum * ((float)variance - running_variance[c]);
        }
        for (long j = 0; j < period; j++) {
            long c = j % channels;
            scale[j] = weight[c] * inverse[c];
            shift[j] = bias[c] - centre[c] * scale[j];
        }
#define APPLY(activation, drops) \
    NAME(apply)(z, all, period, scale, shift, activation, drops, draws, least, factor, y)
        if (activation == RELU && draws) APPLY(RELU, 1);
        else if (activation == RELU) APPLY(RELU, 0);
        else if (draws) APPLY(SILU, 1);
        else APPLY(SILU, 0);
#undef APPLY
    }
    free(rows);
    free(memory);
    free(sums);
    return failed;
}

/* The gradients of x, weight and bias for that of y. What forward was given and left is given again;
 * work has y's size where side > 1, and is dx where not. */
int NAME(backward)(const T *dy, const T *z, const uint8_t *place, long images, long height,
                   long width, long channels, long side, const float *weight, const float *bias,
                   const float *centre, const float *inverse, int activation, const int16_t *draws,
                   int least, float factor, T *work, float *dweight, float *dbias, T *dx)
{
    const Shape s = {images, height, width, channels, side};
    long period = period_of(channels), one = pooled_image(&s), all = one * images;
    long portion = portion_of(&s, period);
    NAME(Row) row;
    double *sums = calloc((size_t)channels * 2, sizeof *sums), *products = sums + channels;
    float *memory = calloc((size_t)period * 7, sizeof *memory);
    void *rows = NAME(row_of)(&s, 1, &row);
    int failed = !sums || !memory || !rows;
    if (!failed) {
        float *sum = memory, *product = sum + period, *scale = product + period;
        float *shift = scale + period, *middle = shift + period, *tilt = middle + period;
        float *offset = tilt + period;
        for (long j = 0; j < period; j++) {
            long c = j % channels;
            middle[j] = centre[c];
            scale[j] = weight[c] * inverse[c];
            shift[j] = bias[c] - centre[c] * scale[j];
        }
        for (long i = 0; i < all; i += portion) {
            long count = all - i < portion ? all - i : portion;
            memset(sum, 0, (size_t)period * 2 * sizeof *sum);
#define ADD_UP(activation, drops) \
    NAME(add_up_gradient)(z + i, dy + i, count, period, scale, shift, middle, activation, drops, \
                          drops ? draws + i : NULL, least, factor, work + i, sum, product)
            if (activation == RELU && draws) ADD_UP(RELU, 1);
            else if (activation == RELU) ADD_UP(RELU, 0);
            else if (draws) ADD_UP(SILU, 1);
            else ADD_UP(SILU, 0);
#undef ADD_UP
            for (long j = 0; j < period; j++)
                sums[j % channels] += sum[j], products[j % channels] += product[j];
        }
        double number = (double)(all / channels);
        for (long c = 0; c < channels; c++) {
            dbias[c] = (float)sums[c];
            dweight[c] = (float)(products[c] * inverse[c]);
        }
        for (long j = 0; j < period; j++) {
            long c = j % channels;
            offset[j] = (float)(-scale[j] * sums[c] / number);
            tilt[j] = (float)(-scale[j] * (double)inverse[c] * inverse[c] * products[c] / number);
        }
        for (long i = 0; i < all; i += portion) {
            long count = all - i < portion ? all - i : portion;
            NAME(through_norm)(z + i, count, period, scale, middle, tilt, offset, work + i);
            if (side > 1)
                for (long k = i; k < i + count; k += one)
                    NAME(unpool)(work + k, place + k, &s, dx + k / one * height * width * channels,
                                 &row);
        }
    }
    free(rows);
    free(memory);
    free(sums);
    return failed;
}
