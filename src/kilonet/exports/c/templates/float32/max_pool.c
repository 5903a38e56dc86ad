/* The largest value in each window. */
static void max_pool(const window *w, const float *in, float *out)
{
    for (int y = 0; y < w->out_height; y++) {
        for (int x = 0; x < w->out_width; x++, out += w->channels) {
            for (int c = 0; c < w->channels; c++)
                out[c] = -FLT_MAX;
            for (int i = 0; i < w->kernel_height * w->kernel_width; i++) {
                const int row = y * w->stride_down + i / w->kernel_width - w->top;
                const int column = x * w->stride_across + i % w->kernel_width - w->left;
                if (row < 0 || row >= w->height || column < 0 || column >= w->width)
                    continue;
                const float *pixel = in + (row * w->width + column) * w->channels;
                for (int c = 0; c < w->channels; c++)
                    out[c] = pixel[c] > out[c] ? pixel[c] : out[c];
            }
        }
    }
}
