/* 1x1 regular convolutions of the group p4, with a Fourier transform over the orientation channels.
 *
 * A field is the four orientation channels of one filter. Result r of a field multiplies input j of
 * another by weight (j - r) mod 4: a cyclic correlation, which the Fourier transform over each field
 * turns into a product. Its first and third coefficients are real; its second and fourth, P - iQ, are
 * complex conjugates. This takes two products of channels / 4 and one of channels / 2, 6/16 of the
 * multiplications. The group: Cohen and Welling, "Group equivariant convolutional networks" (2016).
 *
 * Order of transformed planes: the first coefficients of all fields, all third ones, all P, all Q.
 */

#define ORIENTATIONS 4
#define P4_WEIGHTS(weights) ((weights) / 16 * 6) /* products of transformed channels, of `weights` */

/* The transform of one pixel of a field; the next coefficient is `quarter` away. */
INLINE void transform(V one, V two, V three, V four, V *restrict to, long quarter)
{
    V even = one + three, odd = two + four;
    to[0] = even + odd;
    to[quarter] = even - odd;
    to[2 * quarter] = one - three;
    to[3 * quarter] = two - four;
}

/* Transforms `height` x `width` pixels of all fields. */
static void fold(Planes from, long channels, long height, long width, V *to)
{
    if (from.row == width) width *= height, height = 1;
    long fields = channels / ORIENTATIONS, pixels = height * width;
    for (long c = 0; c < fields; c++)
        for (long y = 0; y < height; y++) {
            const V *restrict one = from.at + ORIENTATIONS * c * from.plane + y * from.row;
            const V *restrict two = one + from.plane, *restrict three = two + from.plane;
            const V *restrict four = three + from.plane;
            V *restrict place = to + c * pixels + y * width;
            for (long x = 0; x < width; x++)
                transform(one[x], two[x], three[x], four[x], place + x, fields * pixels);
        }
}

/* Transforms the gradient before batch norm of `pixels` in a row, for the gradient `g` after it. */
static void fold_gradient(const V *z, const V *g, long plane, const Channel *channel, long channels,
                          long pixels, V *to)
{
    long fields = channels / ORIENTATIONS;
    for (long f = 0; f < fields; f++, z += ORIENTATIONS * plane, g += ORIENTATIONS * plane) {
        const Channel c[ORIENTATIONS] = {channel[0], channel[1], channel[2], channel[3]};
        V *restrict place = to + f * pixels;
        for (long x = 0; x < pixels; x++) {
            V d[ORIENTATIONS];
            UNROLLED for (int r = 0; r < ORIENTATIONS; r++)
                d[r] = norm_gradient_of(z + r * plane + x, g + r * plane + x, c + r);
            transform(d[0], d[1], d[2], d[3], place + x, fields * pixels);
        }
        channel += ORIENTATIONS;
    }
}

#define PAIR_WEIGHTS 4 /* of the first coefficients, of the third ones, and of P - iQ: real and other */

/* Computes `wide` pixels of one field of the result from the transformed input: the products and the
 * inverse transform, whose factors the weights include. */
INLINE void tile_p4(const V *restrict in, long plane, long fields, const float *restrict weights,
                    V *restrict out, long out_plane, const int wide, const int accumulates,
                    const Channel *channel, V *restrict norm_sums)
{
    V first[WIDEST], third[WIDEST], p[WIDEST], q[WIDEST];
    UNROLLED for (int x = 0; x < wide; x++) first[x] = third[x] = p[x] = q[x] = (V){0};
    const V *restrict three = in + fields * plane, *restrict its_p = three + fields * plane;
    const V *restrict its_q = its_p + fields * plane;
    for (long i = 0; i < fields; i++, weights += PAIR_WEIGHTS) {
        const float real = weights[2], other = weights[3];
        UNROLLED for (int x = 0; x < wide; x++) first[x] += weights[0] * in[x];
        UNROLLED for (int x = 0; x < wide; x++) third[x] += weights[1] * three[x];
        UNROLLED for (int x = 0; x < wide; x++) p[x] += real * its_p[x], q[x] -= other * its_p[x];
        UNROLLED for (int x = 0; x < wide; x++) p[x] += other * its_q[x], q[x] += real * its_q[x];
        in += plane, three += plane, its_p += plane, its_q += plane;
    }
    UNROLLED for (int x = 0; x < wide; x++) {
        V even = first[x] + third[x], odd = first[x] - third[x];
        first[x] = even + p[x], p[x] = even - p[x];
        third[x] = odd + q[x], q[x] = odd - q[x];
    }
    V *const results[ORIENTATIONS] = {first, third, p, q};
    UNROLLED for (int r = 0; r < ORIENTATIONS; r++) {
        V sums[2] = {{0}};
        UNROLLED for (int x = 0; x < wide; x++) {
            V *place = out + r * out_plane + x, value = results[r][x] + (accumulates ? *place : (V){0});
            if (!channel) {
                *place = value;
                continue;
            }
            stream(place, value);
            V distance = value - channel[r].centre;
            sums[0] += distance, sums[1] += distance * distance;
        }
        if (channel) norm_sums[2 * r] += sums[0], norm_sums[2 * r + 1] += sums[1];
    }
}

#define TILE_P4(wide) \
    case wide: \
        if (channel) tile_p4(place, pixels, fields, w, to, out.plane, wide, 0, one, sums); \
        else if (accumulates) tile_p4(place, pixels, fields, w, to, out.plane, wide, 1, NULL, NULL); \
        else tile_p4(place, pixels, fields, w, to, out.plane, wide, 0, NULL, NULL); \
        break;

/* out (+)= the result of `pixels` in a row, from the transformed input. Unless `channel` is NULL, adds to
 * batch norm's sums of moments. */
static void multiply_p4(const V *in, long channels, const float *weights, Planes out, long out_channels,
                        long pixels, int accumulates, const Channel *channel, V *norm_sums)
{
    long fields = channels / ORIENTATIONS, tiles = (pixels + WIDEST - 1) / WIDEST;
    for (long t = 0; t < tiles; t++) {
        long x = t * pixels / tiles, wide = (t + 1) * pixels / tiles - x;
        const V *place = in + x;
        for (long o = 0; o < out_channels / ORIENTATIONS; o++) {
            const float *w = weights + o * fields * PAIR_WEIGHTS;
            const Channel *one = channel ? channel + o * ORIENTATIONS : NULL;
            V *to = out.at + o * ORIENTATIONS * out.plane + x, *sums = norm_sums + 2 * o * ORIENTATIONS;
            switch (wide) { EACH_TILE_P4 }
        }
    }
}

/* sums += products of the transformed gradient and the transformed input, in the order of weights. */
static void correlate_p4(V *gradient, long channels, V *in, long in_channels, long pixels, V *sums)
{
    long fields = channels / ORIENTATIONS, in_fields = in_channels / ORIENTATIONS;
    long pairs = fields * in_fields;
    for (long half = 0; half < 2; half++)
        correlate_full((Planes){gradient + half * fields * pixels, pixels, pixels}, fields,
                       (Planes){in + half * in_fields * pixels, pixels, pixels}, in_fields, 1, 1, 1,
                       pixels, sums + half * pairs);
    correlate_full((Planes){gradient + 2 * fields * pixels, pixels, pixels}, 2 * fields,
                   (Planes){in + 2 * in_fields * pixels, pixels, pixels}, 2 * in_fields, 1, 1, 1,
                   pixels, sums + 2 * pairs);
}

/* Packs the transformed weights (out, in), with the factors of the inverse transform. */
static void pack_p4(const float *weights, long out, long in, float *packed, float *flipped)
{
    long fields = out / ORIENTATIONS, in_fields = in / ORIENTATIONS;
    for (long o = 0; o < fields; o++)
        for (long i = 0; i < in_fields; i++) {
            const float *w = weights + ORIENTATIONS * (o * in + i);
            float even = w[0] + w[2], odd = w[1] + w[3];
            float pair[PAIR_WEIGHTS] = {(even + odd) / 4, (even - odd) / 4, (w[0] - w[2]) / 2,
                                        (w[1] - w[3]) / 2};
            memcpy(packed + PAIR_WEIGHTS * (o * in_fields + i), pair, sizeof pair);
            pair[3] = -pair[3];
            memcpy(flipped + PAIR_WEIGHTS * (i * fields + o), pair, sizeof pair);
        }
}

/* Computes the gradients of the sixteen weights of a pair of fields from its six products. Each four
 * weights are one stored weight and get the same gradient. */
static void unpack_pair(const double *sums, long in, float *gradient)
{
    double even = (sums[0] + sums[1]) / 4, odd = (sums[0] - sums[1]) / 4;
    double real = (sums[2] + sums[5]) / 2, other = (sums[3] - sums[4]) / 2;
    double each[ORIENTATIONS] = {even + real, odd + other, even - real, odd - other};
    for (long r = 0; r < ORIENTATIONS; r++)
        for (long j = 0; j < ORIENTATIONS; j++)
            gradient[r * in + (r + j) % ORIENTATIONS] = (float)(each[j] / ORIENTATIONS);
}

#define PRODUCTS 6

/* The positions of the six sums of fields o and i: of the first coefficients, the third ones, P with P
 * and with Q, Q with P and with Q. */
static void product_positions(long o, long fields, long i, long in_fields, long *places)
{
    long pairs = fields * in_fields, at = o * in_fields + i, row = 2 * in_fields;
    long p = 2 * pairs + o * row + i, q = p + fields * row;
    long every[PRODUCTS] = {at, pairs + at, p, p + in_fields, q, q + in_fields};
    memcpy(places, every, sizeof every);
}
