/* The sums of one output pixel. Weight order: [group][row][column][input][output]; the innermost loop
   runs over outputs, which are adjacent in memory. */
static void conv2d_sums(const window *w, int zero, const uint8_t *restrict in,
                        const int8_t *restrict weight, int y, int x, int32_t *restrict sum)
{
    const int inputs = w->channels / w->groups, outputs = w->out_channels / w->groups;

    for (int o = 0; o < w->out_channels; o++)
        sum[o] = 0;
    for (int group = 0; group < w->groups; group++, sum += outputs) {
        for (int i = 0; i < w->kernel_height; i++) {
            const int row = y * w->stride_down + i - w->top;
            for (int j = 0; j < w->kernel_width; j++, weight += inputs * outputs) {
                const int column = x * w->stride_across + j - w->left;
                if (row < 0 || row >= w->height || column < 0 || column >= w->width)
                    continue;
                const uint8_t *pixel = in + (row * w->width + column) * w->channels + group * inputs;
                const int8_t *factor = weight;
                for (int c = 0; c < inputs; c++, factor += outputs) {
                    const int32_t value = pixel[c] - zero;
                    if (value == 0) /* after a ReLU, about half of them are */
                        continue;
                    for (int o = 0; o < outputs; o++)
                        sum[o] += value * factor[o];
                }
            }
        }
    }
}

/* Convolution and max pooling. */
static void conv2d(const window *w, const uint8_t *in, const int8_t *weight, const scaling *s,
                   const requantisation *q, uint8_t *out)
{
    int32_t sum[MAX_CHANNELS];

    for (int y = 0; y < w->out_height; y++) {
        for (int x = 0; x < w->out_width; x++, out += w->out_channels) {
            memset(out, 0, (size_t)w->out_channels);
            for (int i = 0; i < w->pool_down * w->pool_across; i++) {
                conv2d_sums(w, s->zero_point, in, weight, y * w->pool_down + i / w->pool_across,
                            x * w->pool_across + i % w->pool_across, sum);
                for (int o = 0; o < w->out_channels; o++) {
                    const int value = requantise(scaled(sum[o], s, o), q, o);
                    out[o] = (uint8_t)(value > out[o] ? value : out[o]);
                }
            }
        }
    }
}
