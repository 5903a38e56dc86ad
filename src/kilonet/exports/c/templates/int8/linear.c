/* A matrix times a vector. Weight order: [input][output]. */
static void $name(const uint8_t *restrict in, int inputs, const int8_t *restrict weight, int outputs,
                  const scaling *s, const requantisation *q, $stored *restrict out)
{
    int32_t sum[MAX_CHANNELS] = {0};

    for (int i = 0; i < inputs; i++, weight += outputs) {
        const int32_t value = in[i] - s->zero_point;
        if (value == 0)
            continue;
        for (int o = 0; o < outputs; o++)
            sum[o] += value * weight[o];
    }
    for (int o = 0; o < outputs; o++)
        out[o] = ($stored)requantise(scaled(sum[o], s, o), q, o);
}
