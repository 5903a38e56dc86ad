/* The sums of one output pixel. One of every four filters is stored, [input field][field][input]; the
   others shift its weights cyclically by 1, 2 and 3 within each four input channels. */
static void pointwise_p4_sums(const window *w, const float *restrict in,
                              const float *restrict weight, int y, int x, float *restrict sum)
{
    const float *pixel = in + (y * w->stride_down * w->width + x * w->stride_across) * w->channels;

    for (int o = 0; o < w->out_channels; o++)
        sum[o] = 0.0f;
    for (int c = 0; c < w->channels; c += 4, pixel += 4) {
        float value[7]; /* the four orientation channels, repeated cyclically */
        for (int i = 0; i < 7; i++)
            value[i] = pixel[i % 4];
        for (int o = 0; o < w->out_channels; o += 4, weight += 4)
            for (int r = 0; r < 4; r++)
                sum[o + r] += value[r] * weight[0] + value[r + 1] * weight[1] +
                              value[r + 2] * weight[2] + value[r + 3] * weight[3];
    }
}

/* 1x1 convolution with p4 filters, ReLU if low is 0, max pooling. */
static void pointwise_p4(const window *w, const float *in, const float *weight,
                         const float *scale, const float *bias, float low, float *out)
{
    float sum[MAX_CHANNELS];

    for (int y = 0; y < w->out_height; y++) {
        for (int x = 0; x < w->out_width; x++, out += w->out_channels) {
            for (int o = 0; o < w->out_channels; o++)
                out[o] = low;
            for (int i = 0; i < w->pool_down * w->pool_across; i++) {
                pointwise_p4_sums(w, in, weight, y * w->pool_down + i / w->pool_across,
                                  x * w->pool_across + i % w->pool_across, sum);
                for (int o = 0; o < w->out_channels; o++) {
                    const float value = scaled(sum[o], scale, bias, o);
                    out[o] = value > out[o] ? value : out[o];
                }
            }
        }
    }
}
