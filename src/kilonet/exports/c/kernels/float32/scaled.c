/* A sum of a filter that others share, times the channel's scale, plus its bias; null for none. */
static float scaled(float sum, const float *scale, const float *bias, int channel)
{
    return (scale ? scale[channel] * sum : sum) + (bias ? bias[channel] : 0.0f);
}
