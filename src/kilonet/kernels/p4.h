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
#define P4_WEIGHTS(weights) ((weights) / 16 * 6) /* transformed weights, of `weights` */

/* Transforms `height` x `width` pixels of all fields. */
static void fold(Planes from, long channels, long height, long width, V *to)
{
    if (from.row == width) width *= height, height = 1;
    long fields = channels / ORIENTATIONS, pixels = height * width, quarter = fields * pixels;
    for (long c = 0; c < fields; c++)
        for (long y = 0; y < height; y++) {
            const V *restrict one = from.at + ORIENTATIONS * c * from.plane + y * from.row;
            const V *restrict two = one + from.plane, *restrict three = two + from.plane;
            const V *restrict four = three + from.plane;
            V *restrict place = to + c * pixels + y * width;
            for (long x = 0; x < width; x++, place++) {
                V even = one[x] + three[x], odd = two[x] + four[x];
                place[0] = even + odd;
                place[quarter] = even - odd;
                place[2 * quarter] = one[x] - three[x];
                place[3 * quarter] = two[x] - four[x];
            }
        }
}

/* Transforms back, to or added to `to`; the weights include the factors. */
static void unfold(const V *from, Planes to, long channels, long height, long width, int accumulates)
{
    if (to.row == width) width *= height, height = 1;
    long fields = channels / ORIENTATIONS, pixels = height * width, quarter = fields * pixels;
    for (long c = 0; c < fields; c++)
        for (long y = 0; y < height; y++) {
            V *restrict one = to.at + ORIENTATIONS * c * to.plane + y * to.row;
            V *restrict two = one + to.plane, *restrict three = two + to.plane;
            V *restrict four = three + to.plane;
            const V *restrict place = from + c * pixels + y * width;
            for (long x = 0; x < width; x++, place++) {
                V even = place[0] + place[quarter], odd = place[0] - place[quarter];
                V p = place[2 * quarter], q = place[3 * quarter];
                V none = {0};
                one[x] = even + p + (accumulates ? one[x] : none);
                two[x] = odd + q + (accumulates ? two[x] : none);
                three[x] = even - p + (accumulates ? three[x] : none);
                four[x] = odd - q + (accumulates ? four[x] : none);
            }
        }
}

/* Computes the transformed result from the transformed input; `pack_p4` packs the weights. */
static void multiply_p4(V *in, long channels, const float *weights, V *out, long out_channels,
                        long pixels)
{
    long fields = channels / ORIENTATIONS, out_fields = out_channels / ORIENTATIONS;
    long pairs = fields * out_fields;
    for (long half = 0; half < 2; half++)
        convolve_full((Planes){in + half * fields * pixels, pixels, pixels}, fields, 1, 1,
                      weights + half * pairs,
                      (Planes){out + half * out_fields * pixels, pixels, pixels}, out_fields, 1,
                      pixels, 0);
    convolve_full((Planes){in + 2 * fields * pixels, pixels, pixels}, 2 * fields, 1, 1,
                  weights + 2 * pairs,
                  (Planes){out + 2 * out_fields * pixels, pixels, pixels}, 2 * out_fields, 1, pixels,
                  0);
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

/* Stores the weight of one product where `tile` reads it, in both passes. */
static void pack_pair(float weight, long o, long out, long i, long in, float *packed, float *flipped)
{
    packed[packed_place(o, out, i, in, 0, 1)] = weight;
    flipped[packed_place(i, in, o, out, 0, 1)] = weight;
}

/* Packs the transformed weights (out, in), with the factors of the inverse transform. */
static void pack_p4(const float *weights, long out, long in, float *packed, float *flipped)
{
    long fields = out / ORIENTATIONS, in_fields = in / ORIENTATIONS, pairs = fields * in_fields;
    for (long o = 0; o < fields; o++)
        for (long i = 0; i < in_fields; i++) {
            const float *w = weights + ORIENTATIONS * (o * in + i);
            float even = w[0] + w[2], odd = w[1] + w[3];
            float real = (w[0] - w[2]) / 2, other = (w[1] - w[3]) / 2;
            pack_pair((even + odd) / 4, o, fields, i, in_fields, packed, flipped);
            pack_pair((even - odd) / 4, o, fields, i, in_fields, packed + pairs, flipped + pairs);
            float *both = packed + 2 * pairs, *back = flipped + 2 * pairs;
            pack_pair(real, o, 2 * fields, i, 2 * in_fields, both, back);
            pack_pair(other, o, 2 * fields, in_fields + i, 2 * in_fields, both, back);
            pack_pair(-other, fields + o, 2 * fields, i, 2 * in_fields, both, back);
            pack_pair(real, fields + o, 2 * fields, in_fields + i, 2 * in_fields, both, back);
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
