/* The sums of one output pixel. Weight order: [group][row][column][input][output]; the innermost loop
   runs over outputs, which compilers can vectorise without changing the order of sums. */
static void conv2d_sums(const window *w, const float *restrict in, const float *restrict weight,
                        const float *restrict bias, int y, int x, float *restrict sum)
{
    const int inputs = w->channels / w->groups, outputs = w->out_channels / w->groups;

    for (int o = 0; o < w->out_channels; o++)
        sum[o] = bias[o];
    for (int group = 0; group < w->groups; group++, sum += outputs) {
        for (int i = 0; i < w->kernel_height; i++) {
            const int row = y * w->stride_down + i - w->top;
            for (int j = 0; j < w->kernel_width; j++, weight += inputs * outputs) {
                const int column = x * w->stride_across + j - w->left;
                if (row < 0 || row >= w->height || column < 0 || column >= w->width)
                    continue;
                const float *pixel = in + (row * w->width + column) * w->channels + group * inputs;
                const float *factor = weight;
                for (int c = 0; c < inputs; c++, factor += outputs) {
                    const float value = pixel[c];
                    if (value == 0.0f) /* after a ReLU, about half of them are */
                        continue;
                    for (int o = 0; o < outputs; o++)
                        sum[o] += value * factor[o];
                }
            }
        }
    }
}

/* Convolution, ReLU if low is 0, max pooling. */
static void conv2d(const window *w, const float *in, const float *weight, const float *bias,
                   float low, float *out)
{
    float sum[MAX_CHANNELS];

    for (int y = 0; y < w->out_height; y++) {
        for (int x = 0; x < w->out_width; x++, out += w->out_channels) {
            for (int o = 0; o < w->out_channels; o++)
                out[o] = low;
            for (int i = 0; i < w->pool_down * w->pool_across; i++) {
                conv2d_sums(w, in, weight, bias, y * w->pool_down + i / w->pool_across,
                            x * w->pool_across + i % w->pool_across, sum);
                for (int o = 0; o < w->out_channels; o++)
                    out[o] = sum[o] > out[o] ? sum[o] : out[o];
            }
        }
    }
}
