/* The backward pass of one block through one step, and the steps' work on the whole batch. */

/* Computes the gradient before the activation in a region, once the value's gradient `dy` is complete
 * there. dy is that of the block, and may be the step's own. */
static void activation_backward(const Step *s, Region part, const V *dy, const V *slopes)
{
    if (s->kind != UNIT) return;
    if (is_plain(s) && dy == gradient_of(s, part.b)) return; /* already in place */
    long pixels = area(s), count = part.rows * s->width;
    for (long c = part.channel; c < part.channel + part.channels; c++) {
        long within = c * pixels + part.y * s->width, at = part.b * block_of(s) + within;
        V sums[2] = {{0}};
        activation_gradient(s->numbers + at, count, s->channel + c, (int)s->activation,
                            (int)s->has_dropout, at, dy + within, slopes, s->gradient + at, sums);
        add_to_totals(s, part.b, c, sums, LANES);
        if (slopes) slopes += count;
    }
}

/* Computes the gradients of batch norm's parameters, and the batch's terms of its input's gradient. */
static void finalize_norm_gradient(const Step *s, const Batch *batch)
{
    double number = (double)(batch->images * area(s));
    for (long c = 0; c < s->channels; c++) {
        Channel *one = s->channel + c;
        double sum = total(s, batch, c, 0), inverse = one->inverse;
        double product = total(s, batch, c, 1) - sum * one->residue;
        one->offset = one->tilt = 0;
        if (s->bias) s->dbias[c] = s->has_norm ? 0 : (float)sum;
        if (!s->has_norm) continue;
        s->dbeta[c] = (float)sum;
        s->dgamma[c] = (float)(product * inverse);
        double tilt = -one->scale * inverse * inverse * product / number;
        one->tilt = (float)tilt;
        one->offset = (float)(-one->scale * sum / number - tilt * one->residue);
    }
}

/* Clears the lanes that are not images. */
static void clear_lanes(V *at, long row, long height, long width, long images)
{
    for (long y = 0; y < height; y++)
        for (long x = 0; x < width; x++)
            for (long l = images; l < LANES; l++) at[y * row + x][l] = 0;
}

/* The gradient of a region of the convolution's result, with back_margin around it. */
static Planes back_part(const Step *s, Region part, long images, const Work *work)
{
    long margin = s->back_margin, width = s->full_width, row = width + 2 * margin;
    Region there = with_margin(part, margin, s->full_height);
    Planes back = {work->back, row, (part.rows + 2 * margin) * row};
    if (part.rows < s->full_height) clear_rows(back, part, there, margin);
    for (long c = 0; c < part.channels; c++) {
        long within = (part.channel + c) * area(s), at = part.b * block_of(s) + within;
        const V *gradient = gradient_of(s, part.b) + within;
        const Channel *one = s->channel + part.channel + c;
        V *to = back.at + c * back.plane + (there.y - (part.y - margin)) * row + margin;
        if (s->side > 1) {
            norm_gradient(s->numbers + at, gradient, area(s), one, work->full);
            unpool(work->full, s->argmax + at, s->side, s->height, s->width, to, row, there.rows,
                   width, 0);
        } else {
            const V *z = s->numbers + at + there.y * width, *g = gradient + there.y * width;
            long rows = row == width ? 1 : there.rows, wide = row == width ? there.rows * width : width;
            for (long y = 0; y < rows; y++)
                if (s->has_norm) norm_gradient(z + y * wide, g + y * wide, wide, one, to + y * row);
                else memcpy(to + y * row, g + y * wide, (size_t)wide * sizeof(V));
        }
        if (images < LANES) clear_lanes(to, row, there.rows, width, images);
    }
    back.at += margin * (row + 1);
    return back;
}

/* The transformed gradient of a region of the result of a p4 convolution without pooling. */
static void folded_back_part(const Step *s, Region part, long images, V *to)
{
    long pixels = part.rows * s->width, at = part.b * block_of(s) + part.y * s->width;
    V *g = s->gradient + at;
    if (s->has_norm) fold_gradient(s->numbers + at, g, area(s), s->channel, s->channels, pixels, to);
    else fold((Planes){g, pixels, area(s)}, s->channels, 1, pixels, to);
    if (images < LANES) clear_lanes(to, 0, 1, s->channels * pixels, images);
}

static void unit_back_part(const Step *s, const Step *steps, Region part, long images,
                           const Work *work)
{
    const Step *source = steps + s->source;
    Region full = result_of(s, source, part);
    long height = full.rows, taps = s->kernel * s->kernel;
    int keeps = s->completes && source->kind == UNIT && source->activation == SILU;
    int alone = s->padding == 0 || part.rows == source->height; /* the region has no rows around it */
    V *slopes = keeps && alone ? work->slopes : NULL;
    int folds = s->p4 && s->side == 1;
    Planes back = folds ? (Planes){NULL, 0, 0} : back_part(s, full, images, work);
    Planes in = read_source(s, steps, part, work->value, slopes);
    if (s->depthwise)
        correlate_depthwise(back, in, s->kernel, s->stride, height, s->full_width,
                            work->sums + part.channel * taps);
    else if (s->tiles)
        correlate_winograd(back, s->channels, in, source->channels, height, s->full_width,
                           work->sums, work->mapped, work->products);
    else if (s->p4) {
        fold(in, source->channels, height, s->full_width, work->mapped);
        if (folds) folded_back_part(s, full, images, work->products);
        else fold(back, s->channels, height, s->full_width, work->products);
        correlate_p4(work->products, s->channels, work->mapped, source->channels,
                        height * s->full_width, work->sums);
    } else
        correlate_full(back, s->channels, in, source->channels, s->kernel, s->stride, height,
                       s->full_width, work->sums);
    if (source->kind == INPUT) return;
    V *gradient = gradient_of(source, part.b);
    Planes to = {gradient + part.channel * area(source) + part.y * source->width, source->width,
                 area(source)};
    back.at -= s->back_margin * (back.row + 1);
    if (s->depthwise)
        convolve_depthwise(back, s->kernel, 1, s->flipped + part.channel * taps, to, part.rows,
                           source->width, (int)s->accumulates);
    else if (s->tiles)
        convolve_winograd(back, s->channels, s->flipped, to, source->channels, part.rows,
                          source->width, (int)s->accumulates, work->mapped, work->products);
    else if (s->p4) {
        multiply_p4(work->products, s->channels, s->flipped, to, source->channels,
                    part.rows * source->width, (int)s->accumulates, NULL, NULL);
    } else
        convolve_full(back, s->channels, s->kernel, 1, s->flipped, to, source->channels, part.rows,
                      source->width, (int)s->accumulates);
    if (s->completes) activation_backward(source, part, gradient, slopes);
}

static void unit_back(const Step *s, const Step *steps, long b, long thread, long images)
{
    const Step *source = steps + s->source;
    Work work = work_of(s, thread);
    Region part = first_part(s, source, b);
    do unit_back_part(s, steps, part, images, &work);
    while (next_part(s, source, &part));
}

static void pool_back(const Step *s, const Step *steps, long b)
{
    const Step *source = steps + s->source;
    if (source->kind == INPUT) return;
    V *gradient = source->gradient + b * block_of(source);
    for (long c = 0; c < s->channels; c++) {
        long at = (b * s->channels + c) * area(s);
        unpool(s->gradient + at, s->argmax + at, s->side, s->height, s->width,
               gradient + c * area(source), source->width, source->height, source->width,
               (int)s->accumulates);
        if (s->completes) activation_backward(source, (Region){b, c, 1, 0, source->height}, gradient, NULL);
    }
}

static void output_back(const Step *s, long b, long images, const float *dy)
{
    long one = block_of(s);
    V *to = s->gradient + b * one;
    dy += b * LANES * one;
    for (long p = 0; p < one; p++, dy++)
        for (long l = 0; l < LANES; l++) to[p][l] = l < images ? dy[l * one] : 0;
    activation_backward(s, whole(s, b), to, NULL);
}

static void sum_back(const Step *s, const Step *steps, long b)
{
    const V *gradient = s->gradient + b * block_of(s);
    activation_backward(steps + s->other, whole(s, b), gradient, NULL);
    end_streams();
    if (s->completes) activation_backward(steps + s->source, whole(s, b), gradient, NULL);
}

static void clear_sums(const Step *s, const Step *steps, const Batch *batch)
{
    for (long thread = 0; thread < batch->threads; thread++)
        memset(work_of(s, thread).sums, 0, (size_t)computed_weights(s, steps) * sizeof(V));
}

static double sum_of_threads(const Step *s, const Batch *batch, long place)
{
    double sum = 0;
    for (long thread = 0; thread < batch->threads; thread++)
        for (int l = 0; l < LANES; l++) sum += work_of(s, thread).sums[place][l];
    return sum;
}

static void sum_p4_gradients(const Step *s, const Step *steps, const Batch *batch)
{
    long in = steps[s->source].channels;
    for (long o = 0; o < s->channels / ORIENTATIONS; o++)
        for (long i = 0; i < in / ORIENTATIONS; i++) {
            long places[PRODUCTS];
            double sums[PRODUCTS];
            product_positions(o, s->channels / ORIENTATIONS, i, in / ORIENTATIONS, places);
            for (long p = 0; p < PRODUCTS; p++) sums[p] = sum_of_threads(s, batch, places[p]);
            unpack_pair(sums, in, s->dweight + ORIENTATIONS * (o * in + i));
        }
}

/* Sums the weights' gradients over lanes and threads. */
static void sum_weight_gradients(const Step *s, const Step *steps, const Batch *batch)
{
    long weights = weights_of(s, steps), pairs = weights / (s->kernel * s->kernel);
    for (long i = 0; s->tiles && i < pairs; i++) {
        double places[POSITIONS];
        for (long p = 0; p < POSITIONS; p++) places[p] = sum_of_threads(s, batch, p * pairs + i);
        map_kernel_back(places, s->dweight + 9 * i);
    }
    if (s->p4) {
        sum_p4_gradients(s, steps, batch);
        return;
    }
    for (long i = 0; !s->tiles && i < weights; i++) s->dweight[i] = (float)sum_of_threads(s, batch, i);
}
