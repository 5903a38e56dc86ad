/* A chain of convolution blocks while it is trained: its value for a batch and its gradients.
 *
 * Networks of a few kilo-parameters have few channels, so vectors run over images here, sixteen of
 * them where vectors are that wide: a block of images is an array (channel, row, column, image), and whatever the numbers of
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
#ifdef _OPENMP
#include <omp.h>
#else
static int omp_get_thread_num(void) { return 0; }
static int omp_get_num_threads(void) { return 1; }
#endif

#define INLINE static inline __attribute__((always_inline))
#define RELU 0 /* the codes that chain.py gives */
#define SILU 1
#define NONE 2

#include "vectors.h"
#include "convolution.h"
#include "winograd.h"
#include "p4.h"
#include "ends.h"
#include "step.h"
#include "parts.h"
#include "forward.h"
#include "backward.h"

/* For every block b of `batch`, on the thread that it is for: blocks in a row, about as many each. */
#define FOR_EACH_BLOCK \
    _Pragma("omp parallel num_threads((int)batch.threads)") \
    for (long thread = omp_get_thread_num(), sharing = omp_get_num_threads(), \
              b = thread * batch.blocks / sharing; \
         b < (thread + 1) * batch.blocks / sharing; b++)

/* How many images are a block. */
long chain_lanes(void) { return LANES; }

/* How many bytes a step has. */
long chain_step_size(void) { return (long)sizeof(Step); }

/* Whether a step's work on a block needs what all blocks have given to batch norm. */
static int waits(const Step *s) { return s->kind == UNIT && s->normed && !s->frozen; }

/* Where the steps end that blocks go through one after another from `s` on, each while it is in the
 * cache: behind one whose batch norm has to know all blocks. */
static Step *together(Step *s, const Step *end)
{
    while (s + 1 < end && !waits(s)) s++;
    return s + 1;
}

/* The same backwards, from the last of them: up to one whose own gradient has to, or that works in the
 * memory of another of them. */
static Step *together_back(Step *last)
{
    Step *s = last;
    while ((s - 1)->kind != INPUT && !waits(s - 1)) {
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
    else if (s->kind == UNIT) unit_block(s, steps, b, thread, images);
    else if (s->kind == SUM) sum_block(s, steps, b);
    else pool_block(s, steps, b, thread);
}

/* y, images x channels x height x width, is the value of the last step for x, the input. */
void chain_forward(Step *steps, long count, long images, long threads, const float *x, float *y)
{
    const Batch batch = batch_of(images, threads);
    Step *end = steps + count;
    for (Step *first = steps, *next; first < end; first = next) {
        next = together(first, end);
        for (Step *s = first; s < next; s++)
            if (s->kind == UNIT) {
                pack(s, steps);
                clear_totals(s, &batch);
                if (!waits(s)) settle_norm(s, &batch);
            }
        FOR_EACH_BLOCK
            for (Step *s = first; s < next; s++)
                block_through(s, steps, b, thread, filled(&batch, b), x);
        if (waits(next - 1)) settle_norm(next - 1, &batch);
    }
    FOR_EACH_BLOCK output_block(steps + count - 1, b, filled(&batch, b), y);
}

static void block_back(const Step *s, const Step *steps, long b, long thread, long images)
{
    if (s->kind == UNIT) unit_back(s, steps, b, thread, images);
    else if (s->kind == SUM) sum_back(s, steps, b);
    else pool_back(s, steps, b);
}

/* Fill in all gradients that steps say where to put, for dy, that of chain_forward's y. */
void chain_backward(Step *steps, long count, long images, long threads, const float *dy)
{
    const Batch batch = batch_of(images, threads);
    for (Step *s = steps; s < steps + count; s++)
        if (s->kind == UNIT) clear_totals(s, &batch);
    FOR_EACH_BLOCK output_back(steps + count - 1, b, filled(&batch, b), dy);
    for (Step *last = steps + count - 1, *first; last > steps; last = first - 1) {
        first = together_back(last);
        for (Step *s = first; s <= last; s++)
            if (s->kind == UNIT) {
                settle_gradient(s, &batch);
                clear_sums(s, steps, &batch);
            }
        FOR_EACH_BLOCK
            for (Step *s = last; s >= first; s--)
                block_back(s, steps, b, thread, filled(&batch, b));
        for (Step *s = first; s <= last; s++)
            if (s->kind == UNIT) {
                if (!s->normed) settle_gradient(s, &batch); /* a bias' gradient is known only now */
                sum_up(s, steps, &batch);
            }
    }
}
