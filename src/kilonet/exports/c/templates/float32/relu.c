/* max(x, 0) */
static void relu(const float *in, int count, float *out)
{
    for (int i = 0; i < count; i++)
        out[i] = in[i] > 0.0f ? in[i] : 0.0f;
}
