/* The forward pass of one block through one step, and the steps' work on the whole batch. */

/* Packs weights (out, in, kernel, kernel) for the forward pass, and for the gradient of the input:
 * rotated by 180 degrees, with in and out exchanged. */
static void pack(const Step *s, const Step *steps)
{
    long taps = s->kernel * s->kernel, out = s->channels;
    long in = s->depthwise ? 1 : steps[s->source].channels;
    if (s->p4) {
        pack_p4(s->weight, out, in, s->packed, s->flipped);
        return;
    }
    for (long o = 0; o < out; o++)
        for (long i = 0; i < in; i++) {
            const float *kernel = s->weight + (o * in + i) * taps;
            if (s->tiles) {
                float rotated[9], places[POSITIONS], back[POSITIONS];
                for (long k = 0; k < taps; k++) rotated[k] = kernel[taps - 1 - k];
                map_kernel(kernel, places);
                map_kernel(rotated, back);
                for (long p = 0; p < POSITIONS; p++) {
                    s->packed[p * in * out + packed_place(o, out, i, in, 0, 1)] = places[p];
                    s->flipped[p * in * out + packed_place(i, in, o, out, 0, 1)] = back[p];
                }
            } else
                for (long k = 0; k < taps; k++) {
                    long at = s->depthwise ? o * taps + k : packed_place(o, out, i, in, k, taps);
                    long back = s->depthwise ? at : packed_place(i, in, o, out, k, taps);
                    s->packed[at] = kernel[k];
                    s->flipped[back] = kernel[taps - 1 - k];
                }
        }
}

/* Convolves a region, pools it, and adds to batch norm's sums. */
static void unit_part(const Step *s, const Step *steps, Region part, const Work *work)
{
    const Step *source = steps + s->source;
    Planes in = read_source(s, steps, part, work->value, NULL);
    Region full = result_of(s, source, part);
    long first = full.b * s->channels + full.channel, pixels = area(s), width = s->full_width;
    V *z = s->numbers + first * pixels + (s->side > 1 ? 0 : full.y * s->width);
    Planes to = {z, s->width, pixels};
    int sums_moments = s->p4 && s->side == 1 && needs_whole_batch(s);
    if (s->side > 1) to = (Planes){work->full, width, s->full_height * width};
    if (s->depthwise) {
        const float *weights = s->packed + part.channel * s->kernel * s->kernel;
        convolve_depthwise(in, s->kernel, s->stride, weights, to, full.rows, width, 0);
    } else if (s->tiles)
        convolve_winograd(in, source->channels, s->packed, to, s->channels, full.rows, width, 0,
                          work->mapped, work->products);
    else if (s->p4) {
        fold(in, source->channels, full.rows, width, work->mapped);
        multiply_p4(work->mapped, source->channels, s->packed, to, s->channels, full.rows * width, 0,
                    sums_moments ? s->channel : NULL, work->norm_sums);
    } else
        convolve_full(in, source->channels, s->kernel, s->stride, s->packed, to, s->channels,
                      full.rows, width, 0);
    for (long c = 0; c < full.channels; c++, z += pixels) {
        long channel = full.channel + c, rows = full.rows / s->side;
        if (s->side > 1)
            pool(to.at + c * to.plane, width, s->side, s->height, s->width, z, s->width,
                 s->argmax + (first + c) * pixels);
        if (!sums_moments && needs_whole_batch(s))
            accumulate_moments(z, rows * s->width, s->channel[channel].centre,
                               work->norm_sums + 2 * channel);
    }
}

static void unit_block(const Step *s, const Step *steps, long b, long thread, long images)
{
    const Step *source = steps + s->source;
    Work work = work_of(s, thread);
    memset(work.norm_sums, 0, (size_t)s->channels * 2 * sizeof(V));
    Region part = first_part(s, source, b);
    do unit_part(s, steps, part, &work);
    while (next_part(s, source, &part));
    end_streams();
    for (long c = 0; c < s->channels; c++)
        add_to_totals(s, b, c, work.norm_sums + 2 * c, images);
}

/* Prepares a step's channels for a batch; sums of moments begin about the running mean, that of the
 * convolution without its bias. */
static void prepare_channels(const Step *s)
{
    for (long c = 0; c < s->channels; c++) {
        float bias = s->bias ? s->bias[c] : 0;
        s->channel[c] = (Channel){
            .scale = 1, .shift = bias,
            .centre = s->has_norm ? s->mean[c] - bias : 0,
            .threshold = (int32_t)s->threshold,
            .key = {(uint32_t)s->key, (uint32_t)((uint64_t)s->key >> 32)},
            .dropout_scale = (float)s->dropout_scale,
        };
    }
}

#define MAX_DISTANCE 2 /* of the mean from the centre, in standard deviations */
#define MAX_PASSES 3

/* Computes a channel's mean and variance over the batch from the sums about its centre. */
static Moments moments_of(const Step *s, const Batch *batch, long c)
{
    double number = (double)(batch->images * area(s));
    double distance = total(s, batch, c, 0) / number;
    double variance = total(s, batch, c, 1) / number - distance * distance;
    return (Moments){distance, variance < 0 ? 0 : variance};
}

/* Moves the centre to the mean, in channels whose variance has lost digits because the mean is far
 * from the centre. Returns whether there are any. Their sums have to be computed again. */
static int recentre(const Step *s, const Batch *batch)
{
    int any = 0;
    for (long c = 0; c < s->channels; c++) {
        Channel *one = s->channel + c;
        Moments m = moments_of(s, batch, c);
        double limit = MAX_DISTANCE * MAX_DISTANCE * (m.variance + s->epsilon);
        one->again = m.distance * m.distance > limit;
        if (!one->again) continue;
        any = 1, one->centre += (float)m.distance;
        for (long b = 0; b < batch->blocks; b++)
            memset(totals_of(s, b, c), 0, 2 * sizeof *s->totals);
    }
    return any;
}

/* Computes the sums of one block about the new centres. */
static void moments_again(const Step *s, long b, long images)
{
    for (long c = 0; c < s->channels; c++) {
        if (!s->channel[c].again) continue;
        V sums[2] = {{0}};
        accumulate_moments(s->numbers + (b * s->channels + c) * area(s), area(s), s->channel[c].centre,
                           sums);
        add_to_totals(s, b, c, sums, images);
    }
}

/* Sets batch norm of one channel; `mean` is that of the convolution without its bias. */
static void set_norm(const Step *s, long c, double mean, double variance)
{
    Channel *one = s->channel + c;
    one->inverse = 1 / sqrt(variance + s->epsilon);
    one->centre = (float)mean;
    one->residue = mean - one->centre;
    one->scale = (float)(s->gamma[c] * one->inverse);
    one->shift = (float)(s->beta[c] - mean * one->scale);
}

/* Computes batch norm's scale and shift from the totals of the batch, and updates the running
 * statistics. A bias of the convolution affects only the latter. */
static void finalize_norm(const Step *s, const Batch *batch)
{
    double number = (double)(batch->images * area(s));
    for (long c = 0; c < s->channels; c++) {
        float bias = s->bias ? s->bias[c] : 0;
        if (s->frozen) {
            set_norm(s, c, s->mean[c] - bias, s->variance[c]);
            continue;
        }
        Moments m = moments_of(s, batch, c);
        double mean = s->channel[c].centre + m.distance;
        set_norm(s, c, mean, m.variance);
        s->mean[c] += (float)(s->momentum * (mean + bias - s->mean[c]));
        double unbiased = m.variance * number / (number - 1);
        s->variance[c] += (float)(s->momentum * (unbiased - s->variance[c]));
    }
}

static void input_block(const Step *s, long b, long images, const float *x)
{
    long one = block_of(s);
    Planes to = stored(s, whole(s, b));
    x += b * LANES * one;
    for (long c = 0; c < s->channels; c++)
        for (long y = 0; y < s->height; y++)
            for (long k = 0; k < s->width; k++, x++)
                for (long l = 0; l < images; l++)
                    to.at[c * to.plane + y * to.row + k][l] = x[l * one];
}

/* Writes the last step's value to y; the step's gradient, not in use yet, is the buffer. */
static void output_block(const Step *s, long b, long images, float *y)
{
    long one = block_of(s);
    V *value = s->gradient + b * one;
    write_value(s, whole(s, b), (Planes){value, s->width, area(s)}, NULL, NULL);
    y += b * LANES * one;
    for (long p = 0; p < one; p++, y++)
        for (long l = 0; l < images; l++) y[l * one] = value[p][l];
}

static void sum_block(const Step *s, const Step *steps, long b)
{
    const Step *source = steps + s->source;
    Planes to = stored(s, whole(s, b)), base = to;
    if (source->kind == UNIT) write_value(source, whole(s, b), to, NULL, NULL);
    else base = stored(source, whole(s, b));
    write_value(steps + s->other, whole(s, b), to, NULL, &base);
}

static void pool_block(const Step *s, const Step *steps, long b, long thread)
{
    const Step *source = steps + s->source;
    V *value = work_of(s, thread).value;
    Planes to = stored(s, whole(s, b)), from = stored(source, whole(source, b));
    for (long c = 0; c < s->channels; c++) {
        Region part = {b, c, 1, 0, source->height};
        V *plane = source->kind == UNIT ? value : from.at + c * from.plane;
        long row = source->kind == UNIT ? source->width : from.row;
        if (source->kind == UNIT) write_value(source, part, (Planes){plane, row, 0}, NULL, NULL);
        pool(plane, row, s->side, s->height, s->width, to.at + c * to.plane, to.row,
             s->argmax + (b * s->channels + c) * area(s));
    }
}
