/* Convolutions of a block of images, and their gradients. A vector has one number of each image.
 *
 * A tile of sums stays in registers: `deep` channels by `wide` columns of the result in the forward
 * pass, the taps of a few pairs of channels for the gradient of the weights. Callers pass the sizes of
 * tiles as constants, so that compilers unroll the loops.
 */


#ifdef __clang__
#define UNROLLED _Pragma("clang loop unroll(full)")
#else
#define UNROLLED _Pragma("GCC unroll 16")
#endif

/* Planes of rows of vectors: their address, and the distances to the next row and plane. */
typedef struct {
    V *at;
    long row, plane;
} Planes;

/* Computes one tile: result (+)= the sum over channels and taps of weight times input. The order of
 * weights is input channel, row, column, result channel. */
INLINE void tile(const V *restrict in, long row, long plane, long channels, const long kernel,
                 long stride, const float *restrict weights, V *restrict out, long out_plane,
                 int accumulates, const int deep, const int wide)
{
    V sums[4][WIDEST];
    UNROLLED for (int c = 0; c < deep; c++)
        UNROLLED for (int x = 0; x < wide; x++)
            sums[c][x] = accumulates ? out[c * out_plane + x] : (V){0};
    for (long i = 0; i < channels; i++)
        for (long r = 0; r < kernel; r++) {
            const V *line = in + i * plane + r * row;
            for (long k = 0; k < kernel; k++, weights += deep)
                UNROLLED for (int x = 0; x < wide; x++) {
                    V value = line[k + x * stride];
                    UNROLLED for (int c = 0; c < deep; c++) sums[c][x] += weights[c] * value;
                }
        }
    UNROLLED for (int c = 0; c < deep; c++)
        UNROLLED for (int x = 0; x < wide; x++) out[c * out_plane + x] = sums[c][x];
}

/* The number of channels in the next tile, with `left` channels remaining. */
INLINE long depth_of(long left) { return left >= 4 ? 4 : left >= 2 ? 2 : 1; }
INLINE long depth_at_most(long left, long most) { return depth_of(left < most ? left : most); }

/* The index at which `tile` reads the weight of result channel o, input channel i and tap k. */
static long packed_place(long o, long out, long i, long in, long k, long taps)
{
    long first = o / 4 * 4, deep = depth_of(out - first);
    if (o - first >= deep) first += deep, deep = depth_of(out - first); /* three channels are two and one */
    return first * in * taps + (i * taps + k) * deep + o - first;
}

#define TILE(deep, wide) \
    case (deep) * 8 + (wide): \
        tile(place, in.row, in.plane, channels, kernel, stride, packed, result, out.plane, accumulates, \
             deep, wide); \
        break;

/* out (+)= the convolution of `in`, which includes its margin. Weights are packed by tile of result
 * channels, each in the order that `tile` reads. */
INLINE void convolve(Planes in, long channels, const long kernel, const long stride,
                     const float *weights, Planes out, long out_channels, long height, long width,
                     int accumulates)
{
    if (kernel == 1 && stride == 1 && in.row == width && out.row == width)
        width *= height, height = 1; /* without margins: one long row */
    long tiles = width < WIDEST / 2 + 1 ? width : (width + WIDEST - 1) / WIDEST;
    for (long y = 0; y < height; y++)
        for (long t = 0; t < tiles; t++) {
            long x = t * width / tiles, wide = (t + 1) * width / tiles - x, deep;
            const V *place = in.at + y * stride * in.row + x * stride;
            for (long c = 0; c < out_channels; c += deep) {
                deep = depth_of(out_channels - c);
                const float *packed = weights + c * channels * kernel * kernel;
                V *result = out.at + c * out.plane + y * out.row + x;
                switch (deep * 8 + wide) {
                    EACH_WIDTH(4)
                    EACH_WIDTH(2)
                    EACH_WIDTH(1)
                }
            }
        }
}

static void convolve_full(Planes in, long channels, long kernel, long stride, const float *packed,
                          Planes out, long out_channels, long height, long width, int accumulates)
{
    convolve(in, channels, kernel, stride, packed, out, out_channels, height, width, accumulates);
}

/* One channel of a depthwise convolution. */
static void convolve_depthwise(Planes in, long kernel, long stride, const float *weights, Planes out,
                               long height, long width, int accumulates)
{
    if (kernel == 3 && stride == 1) convolve(in, 1, 3, 1, weights, out, 1, height, width, accumulates);
    else convolve(in, 1, kernel, stride, weights, out, 1, height, width, accumulates);
}

/* sums += products of `gradient` and `in`, `pixels` in a row, for `deep` channels of `gradient` and
 * `many` of `in`. In `sums`, the next channel of `gradient` is `row` away. */
INLINE void correlate_pairs(const V *restrict g, long plane, const V *restrict in, long in_plane,
                            long pixels, V *restrict sums, long row, const int deep, const int many)
{
    V own[BROADEST][BROADEST];
#define EACH UNROLLED for (int c = 0; c < deep; c++) UNROLLED for (int i = 0; i < many; i++)
    EACH own[c][i] = sums[c * row + i];
    for (long x = 0; x < pixels; x++)
        EACH own[c][i] += g[c * plane + x] * in[i * in_plane + x];
    EACH sums[c * row + i] = own[c][i];
#undef EACH
}

#define PAIRS(deep, many) \
    case (deep) * 8 + (many): \
        correlate_pairs(g, gradient.plane, from, in.plane, pixels, at, in_channels, deep, many); \
        break;

/* Correlates all pairs of channels of a 1x1 convolution; planes are rows without margins. */
static void correlate_points(Planes gradient, long channels, Planes in, long in_channels, long pixels,
                             V *sums)
{
    long parts = (channels + BROADEST - 1) / BROADEST, in_parts = (in_channels + BROADEST - 1) / BROADEST;
    for (long p = 0; p < in_parts; p++) {
        long i = p * in_channels / in_parts, many = (p + 1) * in_channels / in_parts - i;
        for (long q = 0; q < parts; q++) {
            long c = q * channels / parts, deep = (q + 1) * channels / parts - c;
            const V *g = gradient.at + c * gradient.plane, *from = in.at + i * in.plane;
            V *at = sums + c * in_channels + i;
            switch (deep * 8 + many) { EACH_DEPTH }
        }
    }
}

/* sums += products of `gradient` and `in` over height x width pixels, for `deep` channels of
 * `gradient`, one of `in`, and `high` x `broad` taps. In `sums`, the next channel of `gradient` is
 * `first` away. */
INLINE void correlate(Planes gradient, Planes in, long height, long width, long stride, V *sums,
                      long first, long kernel, const int deep, const int high, const int broad)
{
    V own[4][3][5];
#define EACH \
    UNROLLED for (int c = 0; c < deep; c++) \
        UNROLLED for (int r = 0; r < high; r++) \
            UNROLLED for (int k = 0; k < broad; k++)
    EACH own[c][r][k] = sums[c * first + r * kernel + k];
    for (long y = 0; y < height; y++) {
        const V *restrict g = gradient.at + y * gradient.row;
        const V *restrict line = in.at + y * stride * in.row;
        for (long x = 0; x < width; x++)
            EACH own[c][r][k] += g[c * gradient.plane + x] * line[r * in.row + x * stride + k];
    }
    EACH sums[c * first + r * kernel + k] = own[c][r][k];
#undef EACH
}

#define CORRELATE(deep, high, broad) \
    correlate(g, from, height, width, stride, at, in_channels *kernel *kernel, kernel, deep, high, broad)
#define BY_DEPTH(high, broad) \
    if (deep == DEEPEST) CORRELATE(DEEPEST, high, broad); \
    else if (deep == 2) CORRELATE(2, high, broad); \
    else CORRELATE(1, high, broad);

/* All pairs of channels, over a strip of rows; sums have the order of weights. */
static void correlate_strip(Planes gradient, long channels, Planes in, long in_channels, long kernel,
                            long stride, long height, long width, V *sums)
{
    long deep;
    for (long i = 0; i < in_channels; i++) {
        for (long c = 0; c < channels; c += deep) {
            deep = depth_at_most(channels - c, kernel == 3 ? DEEPEST_3 : DEEPEST);
            V *at = sums + (c * in_channels + i) * kernel * kernel;
            Planes g = {gradient.at + c * gradient.plane, gradient.row, gradient.plane};
            Planes from = {in.at + i * in.plane, in.row, in.plane};
            if (kernel == 3) {
                if (deep == DEEPEST_3) CORRELATE(DEEPEST_3, 3, 3);
                else CORRELATE(1, 3, 3);
            } else
                for (long r = 0; r < kernel; r++, from.at += in.row) {
                    if (kernel == 5) {
                        BY_DEPTH(1, 5)
                        at += 5;
                    } else {
                        for (long k = 0; k < kernel; k++, at++, from.at++) BY_DEPTH(1, 1)
                        from.at -= kernel;
                    }
                }
        }
    }
}

#define STRIP 28 /* pixels; the vectors of some tens of channels fit into the first-level cache */

/* sums += the gradient of the weights of a full convolution. */
static void correlate_full(Planes gradient, long channels, Planes in, long in_channels, long kernel,
                           long stride, long height, long width, V *sums)
{
    if (kernel == 1 && stride == 1) {
        if (in.row == width && gradient.row == width) width *= height, height = 1;
        for (long y = 0; y < height; y++)
            for (long x = 0, pixels; x < width; x += STRIP) {
                pixels = width - x < STRIP ? width - x : STRIP;
                Planes g = {gradient.at + y * gradient.row + x, 0, gradient.plane};
                Planes from = {in.at + y * in.row + x, 0, in.plane};
                correlate_points(g, channels, from, in_channels, pixels, sums);
            }
        return;
    }
    long rows = width < STRIP ? STRIP / width : 1;
    for (long y = 0; y < height; y += rows) {
        correlate_strip(gradient, channels, in, in_channels, kernel, stride,
                        height - y < rows ? height - y : rows, width, sums);
        gradient.at += rows * gradient.row;
        in.at += rows * stride * in.row;
    }
}

/* sums += the gradient of one channel's kernel. */
static void correlate_depthwise(Planes gradient, Planes in, long kernel, long stride, long height,
                                long width, V *sums)
{
    correlate_strip(gradient, 1, in, 1, kernel, stride, height, width, sums);
}
