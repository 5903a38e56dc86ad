/* The sums of one output pixel. One of every four filters is stored, [input field][field][input]; the
   others shift its weights cyclically by 1, 2 and 3 within each four input channels. */
static void pointwise_p4_sums(const window *w, int zero, const uint8_t *restrict in,
                              const int8_t *restrict weight, int y, int x, int32_t *restrict sum)
{
    const uint8_t *pixel = in + (y * w->stride_down * w->width + x * w->stride_across) * w->channels;

    for (int o = 0; o < w->out_channels; o++)
        sum[o] = 0;
    for (int c = 0; c < w->channels; c += 4, pixel += 4) {
        int16_t value[7]; /* the four orientation channels, repeated cyclically */
        for (int i = 0; i < 7; i++)
            value[i] = (int16_t)(pixel[i % 4] - zero);
        for (int o = 0; o < w->out_channels; o += 4, weight += 4)
            for (int r = 0; r < 4; r++)
                sum[o + r] += value[r] * weight[0] + value[r + 1] * weight[1] +
                              value[r + 2] * weight[2] + value[r + 3] * weight[3];
    }
}

/* 1x1 convolution with p4 filters and max pooling. */
static void pointwise_p4(const window *w, const uint8_t *in, const int8_t *weight,
                         const scaling *s, const requantisation *q, uint8_t *out)
{
    int32_t sum[MAX_CHANNELS];

    for (int y = 0; y < w->out_height; y++) {
        for (int x = 0; x < w->out_width; x++, out += w->out_channels) {
            memset(out, 0, (size_t)w->out_channels);
            for (int i = 0; i < w->pool_down * w->pool_across; i++) {
                pointwise_p4_sums(w, s->zero_point, in, weight,
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
