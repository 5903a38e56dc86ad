/* The operations after a convolution, on one channel of a block of images: batch norm with activation
 * and dropout, max pooling, and their gradients.
 */

#define AHEAD 32 /* vectors that loops over main memory prefetch */

INLINE V select_lanes(W which, V yes, V no) { return (V)(((W)yes & which) | ((W)no & ~which)); }
INLINE V masked(W which, V value) { return (V)((W)value & which); } /* 0 in other lanes */
INLINE V splat(float value) { return (V){0} + value; }

#if defined(__AVX512F__)
INLINE V clamp(V x, float limit)
{
    return (V)_mm512_max_ps((__m512)splat(-limit), _mm512_min_ps((__m512)splat(limit), (__m512)x));
}
INLINE V reciprocal(V x)
{
    V near = (V)_mm512_rcp14_ps((__m512)x);
    return near * (2.0f - x * near);
}
#elif defined(__AVX__)
INLINE V clamp(V x, float limit)
{
    return (V)_mm256_max_ps((__m256)splat(-limit), _mm256_min_ps((__m256)splat(limit), (__m256)x));
}
INLINE V reciprocal(V x)
{
    V near = (V)_mm256_rcp_ps((__m256)x);
    return near * (2.0f - x * near);
}
#else
INLINE V clamp(V x, float limit)
{
    x = select_lanes(x < splat(-limit), splat(-limit), x);
    return select_lanes(x > splat(limit), splat(limit), x);
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
    V power = clamp(x * -1.44269504f, 64);
    V rounded = power + 12582912.0f; /* 1.5 * 2^23: the whole number is in the lowest bits */
    V rest = power - (rounded - 12582912.0f);
    V series = 0.00961812911f + rest * 0.00133335581f;
    series = 0.0555041087f + rest * series;
    series = 0.240226507f + rest * series;
    series = 1.0f + rest * (0.693147181f + rest * series);
    return reciprocal(1.0f + (V)((W)series + ((W)rounded << 23)));
}

/* The coefficients of one channel, for both passes. */
typedef struct {
    float scale, shift, centre, tilt, offset; /* of batch norm and its gradient */
    int32_t threshold;                        /* of dropout: see DropoutMask in chain.py */
    uint32_t key[2];                          /* of the random numbers */
    float dropout_scale;
    double inverse;                           /* 1 / standard deviation */
    double residue;                           /* the mean less `centre`, its float32 value */
    int again;                                /* sums of moments are to be computed again */
} Channel;

typedef struct {
    double distance, variance; /* of the mean from a channel's centre */
} Moments;

/* Dropout's random numbers for vector number `vector`: a hash of the elements' positions, Wellons'
 * "lowbias32" (2018), with a key in two halves. Recomputing them is faster than storing them. */
INLINE W random_bits(const Channel *one, long vector)
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

INLINE V apply_dropout(V value, const Channel *one, long vector)
{
    return masked(random_bits(one, vector) >= (W){0} + one->threshold, value * one->dropout_scale);
}

/* y = dropout(activation(batch norm(z))) for count vectors, the first of number `at`; if it
 * accumulates, plus `base`, which may be y. With `keeps`, `slopes` gets SiLU's slopes. */
INLINE void apply_as(const V *restrict z, long count, const Channel *one, long at, const V *base,
                     V *y, V *restrict slopes, const int activation, const int has_dropout,
                     const int accumulates, const int keeps)
{
    const Channel c = *one;
    for (long j = 0; j < count; j++) {
        __builtin_prefetch(z + j + AHEAD);
        V x = z[j] * c.scale + c.shift;
        if (activation == RELU) x = masked(x > (V){0}, x);
        if (activation == SILU) {
            V s = sigmoid(x);
            x *= s;
            if (keeps) slopes[j] = s + x * (1.0f - s);
        }
        if (has_dropout) x = apply_dropout(x, &c, at + j);
        y[j] = x + (accumulates ? base[j] : (V){0});
    }
}

/* The gradient before the activation, for dy; it may overwrite dy. sums[0] gets its sum, sums[1] that of
 * it times z - centre. Slopes are those of SiLU that `apply_as` stored, if it did. */
INLINE void activation_gradient_as(const V *restrict z, long count, const Channel *one,
                           long at, const V *dy, const V *slopes, V *gradient,
                           V *restrict sums, const int activation, const int has_dropout, const int kept)
{
    const Channel c = *one;
    const int in_place = dy == gradient;
    V sum = {0}, product = {0};
    for (long j = 0; j < count; j++) {
        __builtin_prefetch(z + j + AHEAD);
        __builtin_prefetch(dy + j + AHEAD);
        V x = z[j] * c.scale + c.shift, g = dy[j];
        if (activation == RELU) g = masked(x > (V){0}, g);
        if (activation == SILU && kept) g *= slopes[j];
        if (activation == SILU && !kept) {
            V s = sigmoid(x);
            g *= s * (1.0f + x * (1.0f - s));
        }
        if (has_dropout) g = apply_dropout(g, &c, at + j);
        if (in_place) gradient[j] = g;
        else stream(gradient + j, g);
        sum += g;
        product += g * (z[j] - c.centre);
    }
    sums[0] += sum, sums[1] += product;
}

/* A specialised loop for each activation, with and without dropout. */
#define BY_END(does, last, ...) \
    if (activation == RELU && has_dropout) does(__VA_ARGS__, RELU, 1, last); \
    else if (activation == RELU) does(__VA_ARGS__, RELU, 0, last); \
    else if (activation == SILU && has_dropout) does(__VA_ARGS__, SILU, 1, last); \
    else if (activation == SILU) does(__VA_ARGS__, SILU, 0, last); \
    else if (has_dropout) does(__VA_ARGS__, NONE, 1, last); \
    else does(__VA_ARGS__, NONE, 0, last);
#define PLAIN 0, 0
#define ADDING 1, 0
#define KEEPING 0, 1

static void apply(const V *z, long count, const Channel *one, int activation, int has_dropout, long at, V *y)
{
    BY_END(apply_as, PLAIN, z, count, one, at, NULL, y, NULL)
}

static void apply_adding(const V *z, long count, const Channel *one, int activation, int has_dropout,
                         long at, const V *base, V *y)
{
    BY_END(apply_as, ADDING, z, count, one, at, base, y, NULL)
}

static void apply_keeping(const V *z, long count, const Channel *one, int activation, int has_dropout,
                          long at, V *y, V *slopes)
{
    BY_END(apply_as, KEEPING, z, count, one, at, NULL, y, slopes)
}

static void activation_gradient(const V *z, long count, const Channel *one, int activation, int has_dropout,
                        long at, const V *dy, const V *slopes, V *g, V *sums)
{
    if (slopes) {
        BY_END(activation_gradient_as, 1, z, count, one, at, dy, slopes, g, sums)
    } else {
        BY_END(activation_gradient_as, 0, z, count, one, at, dy, NULL, g, sums)
    }
}

/* The gradient before batch norm, for the gradient after it. */
INLINE V norm_gradient_of(const V *z, const V *g, const Channel *c)
{
    __builtin_prefetch(z + AHEAD);
    __builtin_prefetch(g + AHEAD);
    return c->scale * *g + c->tilt * (*z - c->centre) + c->offset;
}

INLINE void norm_gradient(const V *restrict z, const V *restrict g, long count, const Channel *one,
                         V *restrict d)
{
    const Channel c = *one;
    for (long j = 0; j < count; j++) d[j] = norm_gradient_of(z + j, g + j, &c);
}

/* Adds the sums of the distances from `centre` and of their squares to `sums`. */
INLINE void accumulate_moments(const V *restrict z, long count, float centre, V *restrict sums)
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

/* Max pooling with adjacent windows of side x side; `place` gets the index of the largest number in each
 * window, the first of equal ones. height and width are those of the result. */
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
                    best = select_lanes(larger, window[r * row + k], best);
                    where = (it & larger) | (where & ~larger);
                }
            out[y * out_row + x] = best;
            place[y * width + x] = __builtin_convertvector(where, Bytes);
        }
}

/* The gradient of max pooling: each number of d at the index of the maximum, 0 elsewhere. */
INLINE void unpool_by(const V *restrict d, const Bytes *restrict place, const long side, long height,
                      long width, V *restrict out, long row, const int accumulates)
{
    for (long y = 0; y < height; y++)
        for (long x = 0; x < width; x++, d++, place++) {
            W where = __builtin_convertvector(*place, W);
            for (long r = 0; r < side; r++)
                for (long k = 0; k < side; k++) {
                    V *to = out + (y * side + r) * row + x * side + k;
                    W here = where == (W){0} + (int32_t)(r * side + k);
                    V value = (V)((W)*d & here);
                    *to = value + (accumulates ? *to : (V){0});
                }
        }
}

static void pool(const V *in, long row, long side, long height, long width, V *out, long out_row,
                 Bytes *place)
{
    if (side == 2) pool_by(in, row, 2, height, width, out, out_row, place);
    else pool_by(in, row, side, height, width, out, out_row, place);
}

/* full_height and full_width are those before pooling. */
static void unpool(const V *d, const Bytes *place, long side, long height, long width, V *out,
                   long row, long full_height, long full_width, int accumulates)
{
    if (!accumulates && (height * side < full_height || width * side < full_width))
        for (long y = 0; y < full_height; y++)
            memset(out + y * row, 0, (size_t)full_width * sizeof *out);
    if (accumulates) unpool_by(d, place, side, height, width, out, row, 1);
    else if (side == 2) unpool_by(d, place, 2, height, width, out, row, 0);
    else unpool_by(d, place, side, height, width, out, row, 0);
}
