/* A matrix times a vector, ReLU if low is 0. Weight order: [input][output]. */
static void linear(const float *restrict in, int inputs, const float *restrict weight,
                   const float *restrict bias, int outputs, float low, float *restrict out)
{
    for (int o = 0; o < outputs; o++)
        out[o] = bias[o];
    for (int i = 0; i < inputs; i++, weight += outputs) {
        const float value = in[i];
        if (value == 0.0f)
            continue;
        for (int o = 0; o < outputs; o++)
            out[o] += value * weight[o];
    }
    for (int o = 0; o < outputs; o++)
        out[o] = out[o] > low ? out[o] : low;
}
