/* The mean of each window; there is no padding. */
static void $name(const window *w, const uint8_t *in, int zero, int multiplier, int shift,
                  const requantisation *q, $stored *out)
{
    for (int y = 0; y < w->out_height; y++) {
        for (int x = 0; x < w->out_width; x++, out += w->channels) {
            for (int c = 0; c < w->channels; c++) {
                int32_t sum = 0;
                for (int i = 0; i < w->kernel_height; i++) {
                    for (int j = 0; j < w->kernel_width; j++) {
                        const int row = y * w->stride_down + i, column = x * w->stride_across + j;
                        sum += in[(row * w->width + column) * w->channels + c] - zero;
                    }
                }
                out[c] = ($stored)requantise(rounded((int64_t)sum * multiplier, shift), q, c);
            }
        }
    }
}
