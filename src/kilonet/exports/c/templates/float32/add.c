/* The sum of two values, ReLU if low is 0. */
static void add(const float *left, const float *right, int count, float low, float *out)
{
    for (int i = 0; i < count; i++) {
        const float sum = left[i] + right[i];
        out[i] = sum > low ? sum : low;
    }
}
