/* A fused chain of convolution blocks in training: its value for a batch, and its gradients.
 *
 * Networks of a few kilo-parameters have few channels, so vectors run over images: a block of images,
 * up to sixteen, is an array (channel, row, column, image), and every vector is full whatever the
 * numbers of channels and columns. All steps up to one that needs the whole batch (for batch norm's
 * mean and variance) process one block after another, while the block is in the cache.
 *
 * A convolution's result is stored before batch norm. Batch norm, activation and dropout are
 * recomputed by each step that needs them, which is faster than loading their results.
 *
 * All numbers are float32. Sums over a batch are per image within a block and in double precision
 * over blocks. If a batch ends within a block, the missing images are zeros and do not count.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#else
static int omp_get_thread_num(void) { return 0; }
static int omp_get_num_threads(void) { return 1; }
#endif

#define INLINE static inline __attribute__((always_inline))
#define RELU 0 /* codes of ACTIVATIONS in chain.py */
#define SILU 1
#define NONE 2

#include "vectors.h"
#include "convolution.h"
#include "winograd.h"
#include "pointwise.h"
#include "p4.h"
#include "step.h"
#include "regions.h"
#include "forward.h"
#include "backward.h"

/* For every block b of `batch`, on its thread; each thread has about the same number of blocks. */
#define FOR_EACH_BLOCK \
    _Pragma("omp parallel num_threads((int)batch.threads)") \
    for (long thread = omp_get_thread_num(), sharing = omp_get_num_threads(), \
              b = thread * batch.blocks / sharing; \
         b < (thread + 1) * batch.blocks / sharing; b++)

/* The number of images in a block. */
long chain_lanes(void) { return LANES; }

/* Whether the kernels can use several threads. */
int chain_has_openmp(void)
{
#ifdef _OPENMP
    return 1;
#else
    return 0;
#endif
}

/* The size of a step in bytes. */
long chain_step_size(void) { return (long)sizeof(Step); }

/* The end of the segment that starts at `s`: the steps that one block passes while it is in the cache.
 * A segment ends after a step whose batch norm needs all blocks. */
static Step *segment_end(Step *s, const Step *end)
{
    while (s + 1 < end && !needs_whole_batch(s)) s++;
    return s + 1;
}

/* The start of the segment that ends at `last`, for the backward pass. A step whose gradient needs all
 * blocks, or that shares working memory with a later step, is in another segment. */
static Step *segment_start(Step *last)
{
    Step *s = last;
    while ((s - 1)->kind != INPUT && !needs_whole_batch(s - 1)) {
        for (Step *other = s; other <= last; other++)
            if (s - 1 != other && (s - 1)->kind == UNIT && other->kind == UNIT
                && (s - 1)->work.sums == other->work.sums)
                return s;
        s--;
    }
    return s;
}

static void block_through(const Step *s, const Step *steps, long b, long thread, long images,
                          const float *x)
{
    if (s->kind == INPUT) input_block(s, b, images, x);
    else if (s->unstored) return;
    else if (s->kind == UNIT) unit_block(s, steps, b, thread, images);
    else if (s->kind == SUM) sum_block(s, steps, b);
    else pool_block(s, steps, b, thread);
}

/* Computes y, images x channels x height x width: the value of the last step for the input x. */
void chain_forward(Step *steps, long count, long images, long threads, const float *x, float *y)
{
    const Batch batch = batch_of(images, threads);
    Step *end = steps + count;
    for (Step *first = steps, *next; first < end; first = next) {
        next = segment_end(first, end);
        for (Step *s = first; s < next; s++)
            if (s->kind == UNIT) {
                pack(s, steps);
                clear_totals(s, &batch);
                prepare_channels(s);
                if (s->has_norm && s->frozen) finalize_norm(s, &batch);
            }
        FOR_EACH_BLOCK
            for (Step *s = first; s < next; s++)
                block_through(s, steps, b, thread, filled(&batch, b), x);
        const Step *last = next - 1;
        if (!needs_whole_batch(last)) continue;
        for (int pass = 1; pass < MAX_PASSES && recentre(last, &batch); pass++)
            FOR_EACH_BLOCK moments_again(last, b, filled(&batch, b));
        finalize_norm(last, &batch);
    }
    FOR_EACH_BLOCK output_block(steps + count - 1, b, filled(&batch, b), y);
}

static void block_back(const Step *s, const Step *steps, long b, long thread, long images)
{
    if (s->kind == UNIT) unit_back(s, steps, b, thread, images);
    else if (s->kind == SUM) sum_back(s, steps, b);
    else pool_back(s, steps, b);
}

/* Computes the gradients of all parameters for dy, the gradient of chain_forward's y. */
void chain_backward(Step *steps, long count, long images, long threads, const float *dy)
{
    const Batch batch = batch_of(images, threads);
    for (Step *s = steps; s < steps + count; s++)
        if (s->kind == UNIT) clear_totals(s, &batch);
    FOR_EACH_BLOCK output_back(steps + count - 1, b, filled(&batch, b), dy);
    for (Step *last = steps + count - 1, *first; last > steps; last = first - 1) {
        first = segment_start(last);
        for (Step *s = first; s <= last; s++)
            if (s->kind == UNIT) {
                finalize_norm_gradient(s, &batch);
                clear_sums(s, steps, &batch);
            }
        FOR_EACH_BLOCK
            for (Step *s = last; s >= first; s--)
                block_back(s, steps, b, thread, filled(&batch, b));
        for (Step *s = first; s <= last; s++)
            if (s->kind == UNIT) {
                if (!s->has_norm) finalize_norm_gradient(s, &batch); /* for the bias */
                sum_weight_gradients(s, steps, &batch);
            }
    }
}
