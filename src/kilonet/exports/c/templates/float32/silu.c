/* x / (1 + exp(-x)) */
static void silu(const float *in, int count, float *out)
{
    for (int i = 0; i < count; i++)
        out[i] = in[i] / (1.0f + expf(-in[i]));
}
