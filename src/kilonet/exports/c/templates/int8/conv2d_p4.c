/* The sums of one output pixel. One of every four filters is stored, [row][column][input][field];
   the others are rotated by 90, 180 and 270 degrees. If regular, the input channels of a filter
   also shift cyclically within each four. */
static void conv2d_p4_sums(const window *w, int zero, int regular, const uint8_t *restrict in,
                           const int8_t *restrict weight, int y, int x, int32_t *restrict sum)
{
    const int inputs = w->channels, fields = w->out_channels / 4;
    const int side = w->kernel_height, last = side - 1;

    for (int o = 0; o < w->out_channels; o++)
        sum[o] = 0;
    for (int i = 0; i < side; i++) {
        const int row = y * w->stride_down + i - w->top;
        for (int j = 0; j < side; j++) {
            const int column = x * w->stride_across + j - w->left;
            if (row < 0 || row >= w->height || column < 0 || column >= w->width)
                continue;
            const uint8_t *pixel = in + (row * w->width + column) * inputs;
            const int tap[4] = {i * side + j, j * side + last - i,
                                (last - i) * side + last - j, (last - j) * side + i};
            for (int c = 0; c < inputs; c++) {
                const int32_t value = pixel[c] - zero;
                if (value == 0)
                    continue;
                const int8_t *factor[4];
                for (int r = 0; r < 4; r++) {
                    const int from = regular ? c / 4 * 4 + (c + 4 - r) % 4 : c;
                    factor[r] = weight + (tap[r] * inputs + from) * fields;
                }
                for (int f = 0; f < fields; f++)
                    for (int r = 0; r < 4; r++)
                        sum[4 * f + r] += value * factor[r][f];
            }
        }
    }
}

/* Convolution with p4 filters and max pooling. */
static void conv2d_p4(const window *w, int regular, const uint8_t *in, const int8_t *weight,
                      const scaling *s, const requantisation *q, uint8_t *out)
{
    int32_t sum[MAX_CHANNELS];

    for (int y = 0; y < w->out_height; y++) {
        for (int x = 0; x < w->out_width; x++, out += w->out_channels) {
            memset(out, 0, (size_t)w->out_channels);
            for (int i = 0; i < w->pool_down * w->pool_across; i++) {
                conv2d_p4_sums(w, s->zero_point, regular, in, weight,
                               y * w->pool_down + i / w->pool_across,
                               x * w->pool_across + i % w->pool_across, sum);
                for (int o = 0; o < w->out_channels; o++) {
                    const int value = requantise(scaled(sum[o], s, o), q, o);
                    out[o] = (uint8_t)(value > out[o] ? value : out[o]);
                }
            }
        }
    }
}
