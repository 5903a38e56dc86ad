/* The sums of one output pixel, each channel separately. Weight order: [row][column][channel]. */
static void depthwise_sums(const window *w, const float *restrict in, const float *restrict weight,
                           const float *restrict bias, int y, int x, float *restrict sum)
{
    for (int c = 0; c < w->channels; c++)
        sum[c] = bias[c];
    for (int i = 0; i < w->kernel_height; i++) {
        const int row = y * w->stride_down + i - w->top;
        for (int j = 0; j < w->kernel_width; j++, weight += w->channels) {
            const int column = x * w->stride_across + j - w->left;
            if (row < 0 || row >= w->height || column < 0 || column >= w->width)
                continue;
            const float *pixel = in + (row * w->width + column) * w->channels;
            for (int c = 0; c < w->channels; c++)
                sum[c] += pixel[c] * weight[c];
        }
    }
}

/* Depthwise convolution, ReLU if low is 0, max pooling. */
static void depthwise(const window *w, const float *in, const float *weight, const float *bias,
                      float low, float *out)
{
    float sum[MAX_CHANNELS];

    for (int y = 0; y < w->out_height; y++) {
        for (int x = 0; x < w->out_width; x++, out += w->channels) {
            for (int c = 0; c < w->channels; c++)
                out[c] = low;
            for (int i = 0; i < w->pool_down * w->pool_across; i++) {
                depthwise_sums(w, in, weight, bias, y * w->pool_down + i / w->pool_across,
                               x * w->pool_across + i % w->pool_across, sum);
                for (int c = 0; c < w->channels; c++)
                    out[c] = sum[c] > out[c] ? sum[c] : out[c];
            }
        }
    }
}
