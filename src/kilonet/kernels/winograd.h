/* 3x3 convolutions with Winograd tiles: 16 products for each 2x2 tile of the result instead of 36.
 *
 * Winograd's minimal filtering F(2x2, 3x3), after Lavin and Gray, "Fast algorithms for convolutional
 * neural networks" (2016). 4x4 tiles of the input, the kernels and 2x2 tiles of the result are
 * transformed to 4x4 positions; at each position a pair of channels is one product. The gradient of a
 * kernel uses the transposed transforms.
 *
 * Transformed tiles are arrays (position, channel, tile), for a few rows of tiles at a time.
 */

#define POSITIONS 16

/* The distance between positions; it is odd, so that the sixteen use different cache lines. */
static long place_of(long channels, long tiles) { return channels * tiles | 1; }

/* Rows of tiles that are transformed at a time: about TOGETHER tiles. */
#define TOGETHER 14
static long tile_rows(long width) { return width / 2 < TOGETHER ? TOGETHER / (width / 2) : 1; }

/* Two of these, one for rows and one for columns, transform a tile. */
#define MAP_INPUT(a, b, c, d, to) \
    to[0] = (a) - (c), to[1] = (b) + (c), to[2] = (c) - (b), to[3] = (b) - (d)
#define MAP_GRADIENT(a, b, to) to[0] = (a), to[1] = (a) + (b), to[2] = (a) - (b), to[3] = -(b)
#define MAP_BACK(a, b, c, d, to) to[0] = (a) + (b) + (c), to[1] = (b) - (c) - (d)

/* Transforms 4x4 tiles of the input, with a stride of 2. */
static void map_input(Planes from, long channels, long rows, long columns, V *to)
{
    long tiles = rows * columns, place = place_of(channels, tiles);
    for (long c = 0; c < channels; c++)
        for (long r = 0; r < rows; r++)
            for (long t = 0; t < columns; t++) {
                const V *at = from.at + c * from.plane + 2 * r * from.row + 2 * t;
                V by_row[4][4], mapped[4][4], *result = to + c * tiles + r * columns + t;
                UNROLLED for (int k = 0; k < 4; k++) {
                    const V *column = at + k;
                    V all[4];
                    MAP_INPUT(column[0], column[from.row], column[2 * from.row],
                              column[3 * from.row], all);
                    UNROLLED for (int j = 0; j < 4; j++) by_row[j][k] = all[j];
                }
                UNROLLED for (int j = 0; j < 4; j++)
                    MAP_INPUT(by_row[j][0], by_row[j][1], by_row[j][2], by_row[j][3], mapped[j]);
                UNROLLED for (int p = 0; p < POSITIONS; p++) result[p * place] = mapped[p / 4][p % 4];
            }
}

/* Transforms 2x2 tiles of the result's gradient. */
static void map_gradient(Planes from, long channels, long rows, long columns, V *to)
{
    long tiles = rows * columns, place = place_of(channels, tiles);
    for (long c = 0; c < channels; c++)
        for (long r = 0; r < rows; r++)
            for (long t = 0; t < columns; t++) {
                const V *at = from.at + c * from.plane + 2 * r * from.row + 2 * t;
                V by_row[4][2], mapped[4][4], *result = to + c * tiles + r * columns + t;
                UNROLLED for (int k = 0; k < 2; k++) {
                    V all[4];
                    MAP_GRADIENT(at[k], at[from.row + k], all);
                    UNROLLED for (int j = 0; j < 4; j++) by_row[j][k] = all[j];
                }
                UNROLLED for (int j = 0; j < 4; j++)
                    MAP_GRADIENT(by_row[j][0], by_row[j][1], mapped[j]);
                UNROLLED for (int p = 0; p < POSITIONS; p++) result[p * place] = mapped[p / 4][p % 4];
            }
}

/* Transforms tiles back to 2x2 tiles of the result. */
INLINE void map_back(const V *from, long channels, long rows, long columns, Planes to,
                     const int accumulates)
{
    long tiles = rows * columns, place = place_of(channels, tiles);
    for (long c = 0; c < channels; c++)
        for (long r = 0; r < rows; r++)
            for (long t = 0; t < columns; t++) {
                const V *at = from + c * tiles + r * columns + t;
                V by_row[2][4], *result = to.at + c * to.plane + 2 * r * to.row + 2 * t;
                UNROLLED for (int k = 0; k < 4; k++) {
                    V all[2];
                    MAP_BACK(at[k * place], at[(4 + k) * place], at[(8 + k) * place],
                             at[(12 + k) * place], all);
                    by_row[0][k] = all[0], by_row[1][k] = all[1];
                }
                UNROLLED for (int j = 0; j < 2; j++) {
                    V two[2], *pair = result + j * to.row;
                    MAP_BACK(by_row[j][0], by_row[j][1], by_row[j][2], by_row[j][3], two);
                    pair[0] = accumulates ? pair[0] + two[0] : two[0] + (V){0};
                    pair[1] = accumulates ? pair[1] + two[1] : two[1] + (V){0};
                }
            }
}

/* out (+)= the convolution of `in`; height and width are even. The weights of each position are packed
 * as for `convolve`. mapped and products have room for a few rows of tiles. */
static void convolve_winograd(Planes in, long channels, const float *weights, Planes out,
                              long out_channels, long height, long width, int accumulates, V *mapped,
                              V *products)
{
    long columns = width / 2, step = tile_rows(width), rows;
    for (long r = 0; r < height / 2; r += rows) {
        rows = height / 2 - r < step ? height / 2 - r : step;
        long tiles = rows * columns;
        Planes from = {in.at + 2 * r * in.row, in.row, in.plane};
        Planes to = {out.at + 2 * r * out.row, out.row, out.plane};
        map_input(from, channels, rows, columns, mapped);
        for (long p = 0; p < POSITIONS; p++)
            convolve((Planes){mapped + p * place_of(channels, tiles), tiles, tiles}, channels, 1, 1,
                     weights + p * channels * out_channels,
                     (Planes){products + p * place_of(out_channels, tiles), tiles, tiles}, out_channels, 1,
                     tiles, 0);
        if (accumulates) map_back(products, out_channels, rows, columns, to, 1);
        else map_back(products, out_channels, rows, columns, to, 0);
    }
}

/* sums += the gradient of the transformed weights, for each position and pair of channels. */
static void correlate_winograd(Planes gradient, long channels, Planes in, long in_channels,
                               long height, long width, V *sums, V *mapped, V *products)
{
    long columns = width / 2, step = tile_rows(width), rows;
    for (long r = 0; r < height / 2; r += rows) {
        rows = height / 2 - r < step ? height / 2 - r : step;
        long tiles = rows * columns;
        Planes from = {in.at + 2 * r * in.row, in.row, in.plane};
        Planes back = {gradient.at + 2 * r * gradient.row, gradient.row, gradient.plane};
        map_input(from, in_channels, rows, columns, mapped);
        map_gradient(back, channels, rows, columns, products);
        for (long p = 0; p < POSITIONS; p++)
            correlate_points((Planes){products + p * place_of(channels, tiles), tiles, tiles}, channels,
                             (Planes){mapped + p * place_of(in_channels, tiles), tiles, tiles}, in_channels,
                             tiles, sums + p * channels * in_channels);
    }
}

/* Transforms a 3x3 kernel to 4x4 positions. */
static void map_kernel(const float *kernel, float *to)
{
    float by_row[4][3];
    for (int k = 0; k < 3; k++) {
        float a = kernel[k], b = kernel[3 + k], c = kernel[6 + k];
        by_row[0][k] = a, by_row[3][k] = c;
        by_row[1][k] = 0.5f * (a + b + c), by_row[2][k] = 0.5f * (a - b + c);
    }
    for (int j = 0; j < 4; j++) {
        float a = by_row[j][0], b = by_row[j][1], c = by_row[j][2];
        to[4 * j] = a, to[4 * j + 3] = c;
        to[4 * j + 1] = 0.5f * (a + b + c), to[4 * j + 2] = 0.5f * (a - b + c);
    }
}

/* Transforms the gradient at 4x4 positions back to that of the 3x3 kernel. */
static void map_kernel_back(const double *places, float *to)
{
    double by_row[3][4];
    for (int k = 0; k < 4; k++) {
        double a = places[k], b = places[4 + k], c = places[8 + k], d = places[12 + k];
        by_row[0][k] = a + 0.5 * (b + c);
        by_row[1][k] = 0.5 * (b - c);
        by_row[2][k] = 0.5 * (b + c) + d;
    }
    for (int j = 0; j < 3; j++) {
        double a = by_row[j][0], b = by_row[j][1], c = by_row[j][2], d = by_row[j][3];
        to[3 * j] = (float)(a + 0.5 * (b + c));
        to[3 * j + 1] = (float)(0.5 * (b - c));
        to[3 * j + 2] = (float)(0.5 * (b + c) + d);
    }
}
