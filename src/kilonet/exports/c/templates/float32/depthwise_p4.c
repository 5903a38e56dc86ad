/* The sums of one output pixel, each channel separately. One of every four filters is stored,
   [row][column][field]; the others are rotated by 90, 180 and 270 degrees. */
static void depthwise_p4_sums(const window *w, const float *restrict in,
                              const float *restrict weight, int y, int x, float *restrict sum)
{
    const int fields = w->channels / 4, side = w->kernel_height, last = side - 1;

    for (int c = 0; c < w->channels; c++)
        sum[c] = 0.0f;
    for (int i = 0; i < side; i++) {
        const int row = y * w->stride_down + i - w->top;
        for (int j = 0; j < side; j++) {
            const int column = x * w->stride_across + j - w->left;
            if (row < 0 || row >= w->height || column < 0 || column >= w->width)
                continue;
            const float *pixel = in + (row * w->width + column) * w->channels;
            const float *first = weight + (i * side + j) * fields;
            const float *second = weight + (j * side + last - i) * fields;
            const float *third = weight + ((last - i) * side + last - j) * fields;
            const float *fourth = weight + ((last - j) * side + i) * fields;
            for (int f = 0; f < fields; f++) {
                sum[4 * f] += pixel[4 * f] * first[f];
                sum[4 * f + 1] += pixel[4 * f + 1] * second[f];
                sum[4 * f + 2] += pixel[4 * f + 2] * third[f];
                sum[4 * f + 3] += pixel[4 * f + 3] * fourth[f];
            }
        }
    }
}

/* Depthwise convolution with p4 filters, ReLU if low is 0, max pooling. */
static void depthwise_p4(const window *w, const float *in, const float *weight,
                         const float *scale, const float *bias, float low, float *out)
{
    float sum[MAX_CHANNELS];

    for (int y = 0; y < w->out_height; y++) {
        for (int x = 0; x < w->out_width; x++, out += w->channels) {
            for (int c = 0; c < w->channels; c++)
                out[c] = low;
            for (int i = 0; i < w->pool_down * w->pool_across; i++) {
                depthwise_p4_sums(w, in, weight, y * w->pool_down + i / w->pool_across,
                                  x * w->pool_across + i % w->pool_across, sum);
                for (int c = 0; c < w->channels; c++) {
                    const float value = scaled(sum[c], scale, bias, c);
                    out[c] = value > out[c] ? value : out[c];
                }
            }
        }
    }
}
