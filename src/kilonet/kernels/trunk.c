/* A chain of convolution blocks while it is trained: its value for a batch and its gradients.
 *
 * Networks of a few kilo-parameters have few channels, so vectors run over images here, sixteen of
 * them: a block of images is an array (channel, row, column, image), and whatever the numbers of
 * channels and columns, every vector is full. All steps up to one that needs the whole batch (batch
 * norm's mean and variance) are taken for one block after another, while the block is in the cache.
 *
 * What a convolution gives is kept, before batch norm; what follows, batch norm, nonlinearity and
 * dropout, is computed anew by everyone who needs it, which takes less time than fetching it.
 *
 * All is float32; sums over a batch are taken by image within a block and in double precision over
 * blocks. Where a batch ends within a block, the images beyond it are zeros that count for nothing.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef __AVX512F__
#include <immintrin.h>
#endif
#ifdef _OPENMP
#include <omp.h>
#else
static int omp_get_thread_num(void) { return 0; }
static int omp_get_num_threads(void) { return 1; }
#endif

#define INLINE static inline __attribute__((always_inline))
#define LANES 16 /* images of a block */
#define RELU 0   /* the codes that trunk.py gives */
#define SILU 1
#define NONE 2

/* Vectors have one number of each image of a block. */
typedef float V __attribute__((vector_size(64), may_alias));
typedef int32_t W __attribute__((vector_size(64), may_alias));
typedef uint8_t Bytes __attribute__((vector_size(LANES), may_alias));
typedef uint32_t Words __attribute__((vector_size(64), may_alias));

static const Words FIRST_LANES = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

#include "convolution.h"
#include "winograd.h"
#include "ends.h"
#include "step.h"

/* A batch's images, their blocks, and how many threads share these. */
typedef struct {
    long images, blocks, threads;
} Batch;

static Batch batch_of(long images, long threads)
{
    return (Batch){images, (images + LANES - 1) / LANES, threads};
}

/* How many of a block's lanes are images. */
static long filled(const Batch *batch, long b) { return least_of(batch->images - b * LANES, LANES); }

/* For every block b of `batch`, on the thread that it is for: blocks in a row, about as many each. */
#define FOR_EACH_BLOCK \
    _Pragma("omp parallel num_threads((int)batch.threads)") \
    for (long thread = omp_get_thread_num(), sharing = omp_get_num_threads(), \
              b = thread * batch.blocks / sharing; \
         b < (thread + 1) * batch.blocks / sharing; b++)

/* A part of a block: some channels, and rows of them. */
typedef struct {
    long b, channel, channels, y, rows;
} Part;

static Part whole(const Step *s, long b) { return (Part){b, 0, s->channels, 0, s->height}; }

/* Where a part of a value is that is there. */
static Planes stored(const Step *s, Part part)
{
    long row = row_of(s), plane = plane_of(s), block = part.b * s->channels + part.channel;
    return (Planes){s->numbers + block * plane + (s->margin + part.y) * row + s->margin, row, plane};
}

typedef enum { NOT_ADDED, ADDED } Added;

/* Put a part of a value to where it shall be; or add it to what is there. slopes, if they are wanted,
 * have no margin. */
static void put(const Step *s, Part part, Planes to, V *slopes, Added added)
{
    long pixels = area(s), count = part.rows * s->width;
    int activation = (int)s->activation, drops = (int)s->drops;
    Planes from = s->kind == UNIT ? (Planes){NULL, 0, 0} : stored(s, part);
    for (long c = 0; c < part.channels; c++) {
        const Channel *one = s->channel + part.channel + c;
        long at = (part.b * s->channels + part.channel + c) * pixels + part.y * s->width;
        int together = to.row == s->width && s->kind == UNIT;
        long rows = together ? 1 : part.rows, wide = together ? count : s->width;
        for (long y = 0; y < rows; y++, at += wide) {
            const V *z = s->numbers + at, *there = from.at + c * from.plane + y * from.row;
            V *place = to.at + c * to.plane + y * to.row;
            if (s->kind != UNIT)
                for (long x = 0; x < wide; x++) place[x] = there[x] + (added ? place[x] : (V){0});
            else if (added) apply_adding(z, wide, one, activation, drops, at, place);
            else if (slopes)
                apply_keeping(z, wide, one, activation, drops, at, place,
                              slopes + c * count + y * wide);
            else apply(z, wide, one, activation, drops, at, place);
        }
    }
}

/* The rows of a part and `around` them that there are, of `height`. */
static Part widened(Part part, long around, long height)
{
    long y = part.y < around ? 0 : part.y - around;
    part.rows = least_of(part.y + part.rows + around, height) - y;
    part.y = y;
    return part;
}

/* Make zero the rows around a part that there are not, where `to` has those around `part`. */
static void clear_rows(Planes to, Part part, Part there, long around)
{
    long above = there.y - (part.y - around), all = part.rows + 2 * around;
    size_t row = (size_t)to.row * sizeof(V);
    for (long c = 0; c < part.channels; c++)
        for (long y = 0; y < all; y++)
            if (y < above || y >= above + there.rows) memset(to.at + c * to.plane + y * to.row, 0, row);
}

/* A part of the value of s's source with s's padding around it, in `value` if it is not there. */
static Planes taken_from(const Step *s, const Step *source, Part part, V *value, V *slopes)
{
    long padding = s->padding, row = source->width + 2 * padding;
    if (source->kind != UNIT) {
        Planes in = stored(source, part);
        in.at -= padding * (in.row + 1);
        return in;
    }
    Part there = widened(part, padding, source->height);
    Planes in = {value, row, (part.rows + 2 * padding) * row}, inner = in;
    inner.at += (there.y - (part.y - padding)) * row + padding;
    if (part.rows < source->height) clear_rows(in, part, there, padding);
    put(source, there, inner, slopes, NOT_ADDED);
    return in;
}

/* Add to the two totals of a block's channel; only `images` of the lanes count. */
static void add_to_totals(const Step *s, long b, long channel, const V *sums, long images)
{
    double *totals = s->totals + 2 * (b * s->channels + channel);
    for (long l = 0; l < images; l++) totals[0] += sums[0][l], totals[1] += sums[1][l];
}

static void clear_totals(const Step *s, const Batch *batch)
{
    memset(s->totals, 0, (size_t)(batch->blocks * s->channels) * 2 * sizeof *s->totals);
}

/* One of the two totals of a channel over all blocks. */
static double total(const Step *s, const Batch *batch, long channel, int which)
{
    double sum = 0;
    for (long b = 0; b < batch->blocks; b++)
        sum += s->totals[2 * (b * s->channels + channel) + which];
    return sum;
}

/* Where `tile` looks for the weight of result channel o, channel i and tap k. */
static long packed_place(long o, long out, long i, long in, long k, long taps)
{
    long first = o / 4 * 4, deep = depth_of(out - first);
    if (o - first >= deep) first += deep, deep = depth_of(out - first); /* three are two and one */
    return first * in * taps + (i * taps + k) * deep + o - first;
}

/* Weights (out, in, kernel, kernel) as they are computed with; and for the gradient of the input,
 * turned around, with in and out exchanged. */
static void pack(const Step *s, const Step *steps)
{
    long taps = s->kernel * s->kernel, out = s->channels;
    long in = s->depthwise ? 1 : steps[s->source].channels;
    for (long o = 0; o < out; o++)
        for (long i = 0; i < in; i++) {
            const float *kernel = s->weight + (o * in + i) * taps;
            if (s->tiles) {
                float turned[9], places[PLACES], back[PLACES];
                for (long k = 0; k < taps; k++) turned[k] = kernel[taps - 1 - k];
                map_kernel(kernel, places);
                map_kernel(turned, back);
                for (long p = 0; p < PLACES; p++) {
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

/* The parts of a block of its source, one after another, that a unit works on. */
static Part first_part(const Step *s, const Step *source, long b)
{
    return (Part){b, 0, s->depthwise ? 1 : source->channels, 0, s->rows};
}

static int next_part(const Step *s, const Step *source, Part *part)
{
    if (s->depthwise) return ++part->channel < source->channels;
    part->y += part->rows;
    part->rows = least_of(part->rows, source->height - part->y);
    return part->rows > 0;
}

/* What of the convolution's result comes of a part of its source. */
static Part result_of(const Step *s, const Step *source, Part part)
{
    if (!s->depthwise) part.channels = s->channels;
    if (part.rows == source->height) part.rows = s->full_height;
    return part;
}

/* Convolve a part, pool it, and add to batch norm's sums. */
static void unit_part(const Step *s, const Step *source, Part part, const Work *work)
{
    Planes in = taken_from(s, source, part, work->value, NULL);
    Part full = result_of(s, source, part);
    long first = full.b * s->channels + full.channel, pixels = area(s), width = s->full_width;
    V *z = s->numbers + first * pixels + (s->side > 1 ? 0 : full.y * s->width);
    Planes to = {z, s->width, pixels};
    if (s->side > 1) to = (Planes){work->full, width, s->full_height * width};
    if (s->depthwise) {
        const float *weights = s->packed + part.channel * s->kernel * s->kernel;
        convolve_depthwise(in, s->kernel, s->stride, weights, to, full.rows, width, 0);
    } else if (s->tiles)
        convolve_winograd(in, source->channels, s->packed, to, s->channels, full.rows, width, 0,
                          work->mapped, work->products);
    else
        convolve_full(in, source->channels, s->kernel, s->stride, s->packed, to, s->channels,
                      full.rows, width, 0);
    for (long c = 0; c < full.channels; c++, z += pixels) {
        long channel = full.channel + c, rows = full.rows / s->side;
        if (s->side > 1)
            pool(to.at + c * to.plane, width, s->side, s->height, s->width, z, s->width,
                 s->place + (first + c) * pixels);
        if (s->normed)
            add_up(z, rows * s->width, s->mean[channel] - (s->bias ? s->bias[channel] : 0),
                   work->norm_sums + 2 * channel);
    }
}

static void unit_block(const Step *s, const Step *steps, long b, long thread, long images)
{
    const Step *source = steps + s->source;
    Work work = work_of(s, thread);
    memset(work.norm_sums, 0, (size_t)s->channels * 2 * sizeof(V));
    Part part = first_part(s, source, b);
    do unit_part(s, source, part, &work);
    while (next_part(s, source, &part));
    for (long c = 0; c < s->channels; c++)
        add_to_totals(s, b, c, work.norm_sums + 2 * c, images);
}

/* Batch norm's scale and shift from the totals of the batch; the running statistics move. A bias of
 * the convolution moves only those. */
static void settle_norm(const Step *s, const Batch *batch)
{
    double number = (double)(batch->images * area(s));
    for (long c = 0; c < s->channels; c++) {
        Channel *one = s->channel + c;
        float bias = s->bias ? s->bias[c] : 0;
        one->least = (int32_t)s->least;
        one->key[0] = (uint32_t)s->key, one->key[1] = (uint32_t)((uint64_t)s->key >> 32);
        one->factor = (float)s->factor;
        one->scale = 1, one->shift = bias, one->centre = 0;
        if (!s->normed) continue;
        double distance = total(s, batch, c, 0) / number;
        double variance = total(s, batch, c, 1) / number - distance * distance;
        variance = variance < 0 ? 0 : variance;
        one->inverse = 1 / sqrt(variance + s->epsilon);
        one->centre = (float)(s->mean[c] - bias + distance);
        one->scale = (float)(s->gamma[c] * one->inverse);
        one->shift = s->beta[c] - one->centre * one->scale;
        s->mean[c] += (float)(s->momentum * distance);
        variance *= number / (number - 1);
        s->variance[c] += (float)(s->momentum * (variance - s->variance[c]));
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

/* In the last step's gradient, which has no other use yet, and from there as plain numbers. */
static void output_block(const Step *s, long b, long images, float *y)
{
    long one = block_of(s);
    V *value = s->gradient + b * one;
    put(s, whole(s, b), (Planes){value, s->width, area(s)}, NULL, NOT_ADDED);
    y += b * LANES * one;
    for (long p = 0; p < one; p++, y++)
        for (long l = 0; l < images; l++) y[l * one] = value[p][l];
}

static void sum_block(const Step *s, const Step *steps, long b)
{
    Planes to = stored(s, whole(s, b));
    put(steps + s->source, whole(s, b), to, NULL, NOT_ADDED);
    put(steps + s->other, whole(s, b), to, NULL, ADDED);
}

static void pool_block(const Step *s, const Step *steps, long b, long thread)
{
    const Step *source = steps + s->source;
    V *value = work_of(s, thread).value;
    Planes to = stored(s, whole(s, b)), from = stored(source, whole(source, b));
    for (long c = 0; c < s->channels; c++) {
        Part part = {b, c, 1, 0, source->height};
        V *plane = source->kind == UNIT ? value : from.at + c * from.plane;
        long row = source->kind == UNIT ? source->width : from.row;
        if (source->kind == UNIT) put(source, part, (Planes){plane, row, 0}, NULL, NOT_ADDED);
        pool(plane, row, s->side, s->height, s->width, to.at + c * to.plane, to.row,
             s->place + (b * s->channels + c) * area(s));
    }
}

/* y, images x channels x height x width, is the value of the last step for x, the input. */
void trunk_forward(Step *steps, long count, long images, long threads, const float *x, float *y)
{
    const Batch batch = batch_of(images, threads);
    for (Step *s = steps; s < steps + count; s++) {
        if (s->kind == UNIT) {
            pack(s, steps);
            clear_totals(s, &batch);
        }
        FOR_EACH_BLOCK {
            if (s->kind == INPUT) input_block(s, b, filled(&batch, b), x);
            else if (s->kind == UNIT) unit_block(s, steps, b, thread, filled(&batch, b));
            else if (s->kind == SUM) sum_block(s, steps, b);
            else pool_block(s, steps, b, thread);
        }
        if (s->kind == UNIT) settle_norm(s, &batch);
    }
    FOR_EACH_BLOCK output_block(steps + count - 1, b, filled(&batch, b), y);
}

/* A part of the value's gradient is whole: go on to that before the activation. dy is its block's,
 * and may be the step's own. */
static void finish(const Step *s, Part part, const V *dy, const V *slopes)
{
    if (s->kind != UNIT) return;
    long pixels = area(s), count = part.rows * s->width;
    for (long c = part.channel; c < part.channel + part.channels; c++) {
        long within = c * pixels + part.y * s->width, at = part.b * block_of(s) + within;
        V sums[2] = {{0}};
        apply_slope(s->numbers + at, count, s->channel + c, (int)s->activation, (int)s->drops, at,
                    dy + within, slopes, s->gradient + at, sums);
        add_to_totals(s, part.b, c, sums, LANES);
        if (slopes) slopes += count;
    }
}

/* Batch norm's own gradients, and what its input's takes from the whole batch. */
static void settle_gradient(const Step *s, const Batch *batch)
{
    double number = (double)(batch->images * area(s));
    for (long c = 0; c < s->channels; c++) {
        Channel *one = s->channel + c;
        double sum = total(s, batch, c, 0), product = total(s, batch, c, 1);
        double inverse = one->inverse;
        one->offset = one->tilt = 0;
        if (s->bias) s->dbias[c] = s->normed ? 0 : (float)sum;
        if (!s->normed) continue;
        s->dbeta[c] = (float)sum;
        s->dgamma[c] = (float)(product * inverse);
        one->offset = (float)(-one->scale * sum / number);
        one->tilt = (float)(-one->scale * inverse * inverse * product / number);
    }
}

/* Make zero what belongs to no image. */
static void clear_lanes(V *at, long row, long height, long width, long images)
{
    for (long y = 0; y < height; y++)
        for (long x = 0; x < width; x++)
            for (long l = images; l < LANES; l++) at[y * row + x][l] = 0;
}

/* The gradient of a part of the convolution's result, with back_margin around it. */
static Planes back_part(const Step *s, Part part, long images, const Work *work)
{
    long margin = s->back_margin, width = s->full_width, row = width + 2 * margin;
    Part there = widened(part, margin, s->full_height);
    Planes back = {work->back, row, (part.rows + 2 * margin) * row};
    if (part.rows < s->full_height) clear_rows(back, part, there, margin);
    for (long c = 0; c < part.channels; c++) {
        long at = (part.b * s->channels + part.channel + c) * area(s);
        const Channel *one = s->channel + part.channel + c;
        V *to = back.at + c * back.plane + (there.y - (part.y - margin)) * row + margin;
        if (s->side > 1) {
            through_norm(s->numbers + at, s->gradient + at, area(s), one, work->full);
            unpool(work->full, s->place + at, s->side, s->height, s->width, to, row, there.rows,
                   width, 0);
        } else {
            V *z = s->numbers + at + there.y * width, *g = s->gradient + at + there.y * width;
            long rows = row == width ? 1 : there.rows, wide = row == width ? there.rows * width : width;
            for (long y = 0; y < rows; y++)
                through_norm(z + y * wide, g + y * wide, wide, one, to + y * row);
        }
        if (images < LANES) clear_lanes(to, row, there.rows, width, images);
    }
    back.at += margin * (row + 1);
    return back;
}

static void unit_back_part(const Step *s, const Step *source, Part part, long images,
                           const Work *work)
{
    Part full = result_of(s, source, part);
    long height = full.rows, taps = s->kernel * s->kernel;
    int keeps = s->finishes && source->kind == UNIT && source->activation == SILU;
    int alone = s->padding == 0 || part.rows == source->height; /* no rows around it */
    V *slopes = keeps && alone ? work->slopes : NULL;
    Planes back = back_part(s, full, images, work);
    Planes in = taken_from(s, source, part, work->value, slopes);
    if (s->depthwise)
        correlate_depthwise(back, in, s->kernel, s->stride, height, s->full_width,
                            work->sums + part.channel * taps);
    else if (s->tiles)
        correlate_winograd(back, s->channels, in, source->channels, height, s->full_width,
                           work->sums, work->mapped, work->products);
    else
        correlate_full(back, s->channels, in, source->channels, s->kernel, s->stride, height,
                       s->full_width, work->sums);
    if (source->kind == INPUT) return;
    V *gradient = source->gradient + part.b * block_of(source);
    Planes to = {gradient + part.channel * area(source) + part.y * source->width, source->width,
                 area(source)};
    back.at -= s->back_margin * (back.row + 1);
    if (s->depthwise)
        convolve_depthwise(back, s->kernel, 1, s->flipped + part.channel * taps, to, part.rows,
                           source->width, (int)s->adds);
    else if (s->tiles)
        convolve_winograd(back, s->channels, s->flipped, to, source->channels, part.rows,
                          source->width, (int)s->adds, work->mapped, work->products);
    else
        convolve_full(back, s->channels, s->kernel, 1, s->flipped, to, source->channels, part.rows,
                      source->width, (int)s->adds);
    if (s->finishes) finish(source, part, gradient, slopes);
}

static void unit_back(const Step *s, const Step *steps, long b, long thread, long images)
{
    const Step *source = steps + s->source;
    Work work = work_of(s, thread);
    Part part = first_part(s, source, b);
    do unit_back_part(s, source, part, images, &work);
    while (next_part(s, source, &part));
}

static void pool_back(const Step *s, const Step *steps, long b)
{
    const Step *source = steps + s->source;
    if (source->kind == INPUT) return;
    V *gradient = source->gradient + b * block_of(source);
    for (long c = 0; c < s->channels; c++) {
        long at = (b * s->channels + c) * area(s);
        unpool(s->gradient + at, s->place + at, s->side, s->height, s->width,
               gradient + c * area(source), source->width, source->height, source->width,
               (int)s->adds);
        if (s->finishes) finish(source, (Part){b, c, 1, 0, source->height}, gradient, NULL);
    }
}

static void output_back(const Step *s, long b, long images, const float *dy)
{
    long one = block_of(s);
    V *to = s->gradient + b * one;
    dy += b * LANES * one;
    for (long p = 0; p < one; p++, dy++)
        for (long l = 0; l < LANES; l++) to[p][l] = l < images ? dy[l * one] : 0;
    finish(s, whole(s, b), to, NULL);
}

static void sum_back(const Step *s, const Step *steps, long b)
{
    const V *gradient = s->gradient + b * block_of(s);
    finish(steps + s->other, whole(s, b), gradient, NULL);
    if (s->finishes) finish(steps + s->source, whole(s, b), gradient, NULL);
}

static void clear_sums(const Step *s, const Step *steps, const Batch *batch)
{
    for (long thread = 0; thread < batch->threads; thread++)
        memset(work_of(s, thread).sums, 0, (size_t)places_of(s, steps) * sizeof(V));
}

static double summed(const Step *s, const Batch *batch, long place)
{
    double sum = 0;
    for (long thread = 0; thread < batch->threads; thread++)
        for (int l = 0; l < LANES; l++) sum += work_of(s, thread).sums[place][l];
    return sum;
}

/* The gradients of weights. */
static void sum_up(const Step *s, const Step *steps, const Batch *batch)
{
    long weights = weights_of(s, steps), pairs = weights / (s->kernel * s->kernel);
    for (long i = 0; s->tiles && i < pairs; i++) {
        double places[PLACES];
        for (long p = 0; p < PLACES; p++) places[p] = summed(s, batch, p * pairs + i);
        map_kernel_back(places, s->dweight + 9 * i);
    }
    for (long i = 0; !s->tiles && i < weights; i++) s->dweight[i] = (float)summed(s, batch, i);
}

/* Fill in all gradients that steps say where to put, for dy, that of trunk_forward's y. */
void trunk_backward(Step *steps, long count, long images, long threads, const float *dy)
{
    const Batch batch = batch_of(images, threads);
    for (Step *s = steps; s < steps + count; s++)
        if (s->kind == UNIT) clear_totals(s, &batch);
    FOR_EACH_BLOCK output_back(steps + count - 1, b, filled(&batch, b), dy);
    for (Step *s = steps + count - 1; s > steps; s--) {
        if (s->kind == UNIT) {
            settle_gradient(s, &batch);
            clear_sums(s, steps, &batch);
        }
        FOR_EACH_BLOCK {
            if (s->kind == UNIT) unit_back(s, steps, b, thread, filled(&batch, b));
            else if (s->kind == SUM) sum_back(s, steps, b);
            else pool_back(s, steps, b);
        }
        if (s->kind == UNIT) sum_up(s, steps, &batch);
    }
}
