/* The sums of one output pixel, each channel separately. One of every four filters is stored,
   [row][column][field]; the others are rotated by 90, 180 and 270 degrees. */
static void depthwise_p4_sums(const window *w, int zero, const uint8_t *restrict in,
                              const int8_t *restrict weight, int y, int x,
                              int32_t *restrict sum)
{
    const int fields = w->channels / 4, side = w->kernel_height, last = side - 1;

    for (int c = 0; c < w->channels; c++)
        sum[c] = 0;
    for (int i = 0; i < side; i++) {
        const int row = y * w->stride_down + i - w->top;
        for (int j = 0; j < side; j++) {
            const int column = x * w->stride_across + j - w->left;
            if (row < 0 || row >= w->height || column < 0 || column >= w->width)
                continue;
            const uint8_t *pixel = in + (row * w->width + column) * w->channels;
            const int8_t *first = weight + (i * side + j) * fields;
            const int8_t *second = weight + (j * side + last - i) * fields;
            const int8_t *third = weight + ((last - i) * side + last - j) * fields;
            const int8_t *fourth = weight + ((last - j) * side + i) * fields;
            for (int f = 0; f < fields; f++) {
                sum[4 * f] += (pixel[4 * f] - zero) * first[f];
                sum[4 * f + 1] += (pixel[4 * f + 1] - zero) * second[f];
                sum[4 * f + 2] += (pixel[4 * f + 2] - zero) * third[f];
                sum[4 * f + 3] += (pixel[4 * f + 3] - zero) * fourth[f];
            }
        }
    }
}

/* Depthwise convolution with p4 filters and max pooling. */
static void depthwise_p4(const window *w, const uint8_t *in, const int8_t *weight,
                         const scaling *s, const requantisation *q, uint8_t *out)
{
    int32_t sum[MAX_CHANNELS];

    for (int y = 0; y < w->out_height; y++) {
        for (int x = 0; x < w->out_width; x++, out += w->channels) {
            memset(out, 0, (size_t)w->channels);
            for (int i = 0; i < w->pool_down * w->pool_across; i++) {
                depthwise_p4_sums(w, s->zero_point, in, weight, y * w->pool_down + i / w->pool_across,
                                  x * w->pool_across + i % w->pool_across, sum);
                for (int c = 0; c < w->channels; c++) {
                    const int value = requantise(scaled(sum[c], s, c), q, c);
                    out[c] = (uint8_t)(value > out[c] ? value : out[c]);
                }
            }
        }
    }
}
