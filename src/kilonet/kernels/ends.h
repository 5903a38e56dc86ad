/* What follows a convolution, on one channel's plane of a block of images: batch norm with a
 * nonlinearity and dropout, max pooling, and their gradients.
 */

#define AHEAD 32 /* vectors that loops over what is far away ask for before they need them */

INLINE V chosen(W which, V yes, V no) { return (V)(((W)yes & which) | ((W)no & ~which)); }
INLINE V only(W which, V value) { return (V)((W)value & which); } /* zero elsewhere */
INLINE V all(float value) { return (V){0} + value; }

#if defined(__AVX512F__)
INLINE V limited(V x, float limit)
{
    return (V)_mm512_max_ps((__m512)all(-limit), _mm512_min_ps((__m512)all(limit), (__m512)x));
}
INLINE V reciprocal(V x)
{
    V near = (V)_mm512_rcp14_ps((__m512)x);
    return near * (2.0f - x * near);
}
#elif defined(__AVX__)
INLINE V limited(V x, float limit)
{
    return (V)_mm256_max_ps((__m256)all(-limit), _mm256_min_ps((__m256)all(limit), (__m256)x));
}
INLINE V reciprocal(V x)
{
    V near = (V)_mm256_rcp_ps((__m256)x);
    return near * (2.0f - x * near);
}
#else
INLINE V limited(V x, float limit)
{
    x = chosen(x < all(-limit), all(-limit), x);
    return chosen(x > all(limit), all(limit), x);
}
/* Of a positive number, by Newton's method from within an eighth of it: processors divide slowly. */
INLINE V reciprocal(V x)
{
    V near = (V)(0x7ef311c7 - (W)x);
    UNROLLED for (int n = 0; n < 3; n++) near = near * (2.0f - x * near);
    return near;
}
#endif

/* 1 / (1 + exp(-x)), within 4e-6 of it: two to the power of a whole number, and of the rest by its
 * Taylor series. */
INLINE V sigmoid(V x)
{
    V power = limited(x * -1.44269504f, 64);
    V rounded = power + 12582912.0f; /* 1.5 * 2^23: the whole number is in the lowest bits */
    V rest = power - (rounded - 12582912.0f);
    V series = 0.00961812911f + rest * 0.00133335581f;
    series = 0.0555041087f + rest * series;
    series = 0.240226507f + rest * series;
    series = 1.0f + rest * (0.693147181f + rest * series);
    return reciprocal(1.0f + (V)((W)series + ((W)rounded << 23)));
}

/* What one channel's numbers go through, forwards and backwards. */
typedef struct {
    float scale, shift, centre, tilt, offset; /* batch norm's, and those of its gradient */
    int32_t threshold;                            /* draws below it are dropped, others times factor */
    uint32_t key[2];                          /* of the draws */
    float dropout_scale;
    double inverse; /* 1 / standard deviation */
} Channel;

/* Dropout's draws for the vector of this number: a hash of the numbers' places, Wellons' "lowbias32"
 * (2018), between two halves of a key. Drawing anew takes less time than remembering. */
INLINE W drawn(const Channel *one, long vector)
{
    Words x = FIRST_LANES + (uint32_t)(vector * LANES);
    x ^= one->key[0];
    x ^= x >> 16;
    x *= 0x7feb352du;
    x += one->key[1];
    x ^= x >> 15;
    x *= 0x846ca68bu;
    x ^= x >> 16;
    return (W)x;
}

INLINE V dropped(V value, const Channel *one, long vector)
{
    return only(drawn(one, vector) >= (W){0} + one->threshold, value * one->dropout_scale);
}

/* y = dropout(activation(batch norm(z))), for count vectors from number `at`; plus `base`, which may be
 * y, with `adds`. With `keeps`, slopes gets SiLU's. */
INLINE void apply_as(const V *restrict z, long count, const Channel *one, long at, const V *base,
                     V *y, V *restrict slopes, const int activation, const int drops,
                     const int adds, const int keeps)
{
    const Channel c = *one;
    for (long j = 0; j < count; j++) {
        __builtin_prefetch(z + j + AHEAD);
        V x = z[j] * c.scale + c.shift;
        if (activation == RELU) x = only(x > (V){0}, x);
        if (activation == SILU) {
            V s = sigmoid(x);
            x *= s;
            if (keeps) slopes[j] = s + x * (1.0f - s);
        }
        if (drops) x = dropped(x, &c, at + j);
        y[j] = x + (adds ? base[j] : (V){0});
    }
}

/* The gradient before the nonlinearity, for dy; it may be where dy is. sums gets its sum, and that of
 * it times z - centre. Slopes are SiLU's as `apply_as` kept them, if it did. */
INLINE void apply_slope_as(const V *restrict z, long count, const Channel *one,
                           long at, const V *dy, const V *slopes, V *gradient,
                           V *restrict sums, const int activation, const int drops, const int kept)
{
    const Channel c = *one;
    V sum = {0}, product = {0};
    for (long j = 0; j < count; j++) {
        __builtin_prefetch(z + j + AHEAD);
        __builtin_prefetch(dy + j + AHEAD);
        V x = z[j] * c.scale + c.shift, g = dy[j];
        if (activation == RELU) g = only(x > (V){0}, g);
        if (activation == SILU && kept) g *= slopes[j];
        if (activation == SILU && !kept) {
            V s = sigmoid(x);
            g *= s * (1.0f + x * (1.0f - s));
        }
        if (drops) g = dropped(g, &c, at + j);
        gradient[j] = g;
        sum += g;
        product += g * (z[j] - c.centre);
    }
    sums[0] += sum, sums[1] += product;
}

/* Loops of their own for every end that there is. */
#define BY_END(does, last, ...) \
    if (activation == RELU && drops) does(__VA_ARGS__, RELU, 1, last); \
    else if (activation == RELU) does(__VA_ARGS__, RELU, 0, last); \
    else if (activation == SILU && drops) does(__VA_ARGS__, SILU, 1, last); \
    else if (activation == SILU) does(__VA_ARGS__, SILU, 0, last); \
    else if (drops) does(__VA_ARGS__, NONE, 1, last); \
    else does(__VA_ARGS__, NONE, 0, last);
#define PLAIN 0, 0
#define ADDING 1, 0
#define KEEPING 0, 1

static void apply(const V *z, long count, const Channel *one, int activation, int drops, long at, V *y)
{
    BY_END(apply_as, PLAIN, z, count, one, at, NULL, y, NULL)
}

static void apply_adding(const V *z, long count, const Channel *one, int activation, int drops,
                         long at, const V *base, V *y)
{
    BY_END(apply_as, ADDING, z, count, one, at, base, y, NULL)
}

static void apply_keeping(const V *z, long count, const Channel *one, int activation, int drops,
                          long at, V *y, V *slopes)
{
    BY_END(apply_as, KEEPING, z, count, one, at, NULL, y, slopes)
}

static void apply_slope(const V *z, long count, const Channel *one, int activation, int drops,
                        long at, const V *dy, const V *slopes, V *g, V *sums)
{
    if (slopes) {
        BY_END(apply_slope_as, 1, z, count, one, at, dy, slopes, g, sums)
    } else {
        BY_END(apply_slope_as, 0, z, count, one, at, dy, NULL, g, sums)
    }
}

/* The gradient before batch norm, for that after it. */
INLINE void through_norm(const V *restrict z, const V *restrict g, long count, const Channel *one,
                         V *restrict d)
{
    const Channel c = *one;
    for (long j = 0; j < count; j++) {
        __builtin_prefetch(z + j + AHEAD);
        __builtin_prefetch(g + j + AHEAD);
        d[j] = c.scale * g[j] + c.tilt * (z[j] - c.centre) + c.offset;
    }
}

/* sums gets more: the sum of the distance from centre, and that of its square. */
INLINE void add_up(const V *restrict z, long count, float centre, V *restrict sums)
{
    V sum[4] = {{0}}, square[4] = {{0}};
    long j = 0;
    for (; j + 4 <= count; j += 4)
        UNROLLED for (int k = 0; k < 4; k++) {
            V distance = z[j + k] - centre;
            sum[k] += distance;
            square[k] += distance * distance;
        }
    for (; j < count; j++) {
        V distance = z[j] - centre;
        sum[0] += distance;
        square[0] += distance * distance;
    }
    sums[0] += sum[0] + sum[1] + (sum[2] + sum[3]);
    sums[1] += square[0] + square[1] + (square[2] + square[3]);
}

/* Pool by windows of side x side, edge to edge; place is which of a window's numbers was the largest,
 * the first of equals in reading order. height and width are the result's. */
INLINE void pool_by(const V *restrict in, long row, const long side, long height, long width,
                    V *restrict out, long out_row, Bytes *restrict place)
{
    for (long y = 0; y < height; y++)
        for (long x = 0; x < width; x++) {
            const V *window = in + y * side * row + x * side;
            V best = window[0];
            W where = {0};
            for (long r = 0; r < side; r++)
                for (long k = r ? 0 : 1; k < side; k++) {
                    W it = (W){0} + (int32_t)(r * side + k), larger = window[r * row + k] > best;
                    best = chosen(larger, window[r * row + k], best);
                    where = (it & larger) | (where & ~larger);
                }
            out[y * out_row + x] = best;
            place[y * width + x] = __builtin_convertvector(where, Bytes);
        }
}

/* Its gradient: each number of d in its place of a window, zero elsewhere; `adds` to what is there. */
INLINE void unpool_by(const V *restrict d, const Bytes *restrict place, const long side, long height,
                      long width, V *restrict out, long row, const int adds)
{
    for (long y = 0; y < height; y++)
        for (long x = 0; x < width; x++, d++, place++) {
            W where = __builtin_convertvector(*place, W);
            for (long r = 0; r < side; r++)
                for (long k = 0; k < side; k++) {
                    V *to = out + (y * side + r) * row + x * side + k;
                    W here = where == (W){0} + (int32_t)(r * side + k);
                    V value = (V)((W)*d & here);
                    *to = value + (adds ? *to : (V){0});
                }
        }
}

static void pool(const V *in, long row, long side, long height, long width, V *out, long out_row,
                 Bytes *place)
{
    if (side == 2) pool_by(in, row, 2, height, width, out, out_row, place);
    else pool_by(in, row, side, height, width, out, out_row, place);
}

/* full_height and full_width are those of what was pooled. */
static void unpool(const V *d, const Bytes *place, long side, long height, long width, V *out,
                   long row, long full_height, long full_width, int adds)
{
    if (!adds && (height * side < full_height || width * side < full_width))
        for (long y = 0; y < full_height; y++)
            memset(out + y * row, 0, (size_t)full_width * sizeof *out);
    if (adds) unpool_by(d, place, side, height, width, out, row, 1);
    else if (side == 2) unpool_by(d, place, 2, height, width, out, row, 0);
    else unpool_by(d, place, side, height, width, out, row, 0);
}
