/* The mean of each window; there is no padding. */
static void mean(const window *w, const float *in, float *out)
{
    const float count = (float)(w->kernel_height * w->kernel_width);

    for (int y = 0; y < w->out_height; y++) {
        for (int x = 0; x < w->out_width; x++, out += w->channels) {
            for (int c = 0; c < w->channels; c++)
                out[c] = 0.0f;
            for (int i = 0; i < w->kernel_height; i++) {
                for (int j = 0; j < w->kernel_width; j++) {
                    const int row = y * w->stride_down + i, column = x * w->stride_across + j;
                    const float *pixel = in + (row * w->width + column) * w->channels;
                    for (int c = 0; c < w->channels; c++)
                        out[c] += pixel[c];
                }
            }
            for (int c = 0; c < w->channels; c++)
                out[c] /= count;
        }
    }
}
