/* 1x1 convolutions of channels by fields (the group p4), in the Fourier transform of each four.
 *
 * Result r of a four takes input j of another by weight (j - r) mod 4: a cyclic correlation, which
 * the transform over the four makes a product. Its first and third number are real, its second and
 * fourth conjugates of each other, P - iQ: two products of channels / 4 and one of channels / 2,
 * 6/16 of all the multiplications. Cohen and Welling, "Group equivariant convolutional networks"
 * (2016), for the group; the convolution theorem for the rest.
 *
 * Transformed planes: the first numbers of all fields, all third ones, all P, all Q.
 */

#define ORIENTATIONS 4
#define SHARE(weights) ((weights) / 16 * 6) /* of a convolution's weights or gradients, as many as are used */

/* Transform `height` x `width` pixels of all fields. */
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

/* Transform back, to or added to `to`; factors are the weights' part. */
static void unfold(const V *from, Planes to, long channels, long height, long width, int adds)
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
                one[x] = even + p + (adds ? one[x] : none);
                two[x] = odd + q + (adds ? two[x] : none);
                three[x] = even - p + (adds ? three[x] : none);
                four[x] = odd - q + (adds ? four[x] : none);
            }
        }
}

/* The result's transform from the input's; weights as `pack_p4` leaves them. */
static void multiply_p4(V *in, long channels, const float *weights, V *out, long out_channels,
                           long pixels)
{
    long fields = channels / ORIENTATIONS, out_fields = out_channels / ORIENTATIONS, pairs = fields * out_fields;
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

/* sums += products of the transforms of the result's gradient and of the input, as weights go. */
static void correlate_p4(V *gradient, long channels, V *in, long in_channels, long pixels, V *sums)
{
    long fields = channels / ORIENTATIONS, in_fields = in_channels / ORIENTATIONS, pairs = fields * in_fields;
    for (long half = 0; half < 2; half++)
        correlate_full((Planes){gradient + half * fields * pixels, pixels, pixels}, fields,
                       (Planes){in + half * in_fields * pixels, pixels, pixels}, in_fields, 1, 1, 1,
                       pixels, sums + half * pairs);
    correlate_full((Planes){gradient + 2 * fields * pixels, pixels, pixels}, 2 * fields,
                   (Planes){in + 2 * in_fields * pixels, pixels, pixels}, 2 * in_fields, 1, 1, 1,
                   pixels, sums + 2 * pairs);
}

/* Put one product's weight where `tile` looks for it, forwards and back. */
static void pack_pair(float weight, long o, long out, long i, long in, float *packed, float *flipped)
{
    packed[packed_place(o, out, i, in, 0, 1)] = weight;
    flipped[packed_place(i, in, o, out, 0, 1)] = weight;
}

/* Weights (out, in) that are by fields, transformed, with the factors of transforming back. */
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

/* The gradients of the sixteen weights of a pair of fields, from those of its six products; the same to
 * the four that are one. */
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

/* Where the sums of the products of fields o and i are: of the first numbers, the third ones, P with P
 * and with Q, Q with P and with Q. */
static void products_of(long o, long fields, long i, long in_fields, long *places)
{
    long pairs = fields * in_fields, at = o * in_fields + i, row = 2 * in_fields;
    long p = 2 * pairs + o * row + i, q = p + fields * row;
    long every[PRODUCTS] = {at, pairs + at, p, p + in_fields, q, q + in_fields};
    memcpy(places, every, sizeof every);
}
