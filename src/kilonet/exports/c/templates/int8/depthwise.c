/* The sums of one output pixel, each channel separately. Weight order: [row][column][channel]. */
static void depthwise_sums(const window *w, int zero, const uint8_t *restrict in,
                           const int8_t *restrict weight, int y, int x, int32_t *restrict sum)
{
    for (int c = 0; c < w->channels; c++)
        sum[c] = 0;
    for (int i = 0; i < w->kernel_height; i++) {
        const int row = y * w->stride_down + i - w->top;
        for (int j = 0; j < w->kernel_width; j++, weight += w->channels) {
            const int column = x * w->stride_across + j - w->left;
            if (row < 0 || row >= w->height || column < 0 || column >= w->width)
                continue;
            const uint8_t *pixel = in + (row * w->width + column) * w->channels;
            for (int c = 0; c < w->channels; c++)
                sum[c] += (pixel[c] - zero) * weight[c];
        }
    }
}

/* Depthwise convolution and max pooling. */
static void depthwise(const window *w, const uint8_t *in, const int8_t *weight, const scaling *s,
                      const requantisation *q, uint8_t *out)
{
    int32_t sum[MAX_CHANNELS];

    for (int y = 0; y < w->out_height; y++) {
        for (int x = 0; x < w->out_width; x++, out += w->channels) {
            memset(out, 0, (size_t)w->channels);
            for (int i = 0; i < w->pool_down * w->pool_across; i++) {
                depthwise_sums(w, s->zero_point, in, weight, y * w->pool_down + i / w->pool_across,
                               x * w->pool_across + i % w->pool_across, sum);
                for (int c = 0; c < w->channels; c++) {
                    const int value = requantise(scaled(sum[c], s, c), q, c);
                    out[c] = (uint8_t)(value > out[c] ? value : out[c]);
                }
            }
        }
    }
}
