/* 1 / (1 + exp(-x)) */
static void sigmoid(const float *in, int count, float *out)
{
    for (int i = 0; i < count; i++)
        out[i] = 1.0f / (1.0f + expf(-in[i]));
}
