/* The sum of a shared filter, times the channel's scale, plus its bias; either may be null. */
static float scaled(float sum, const float *scale, const float *bias, int channel)
{
    return (scale ? scale[channel] * sum : sum) + (bias ? bias[channel] : 0.0f);
}
