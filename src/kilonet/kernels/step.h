/* The steps of a fused chain, and their memory. */

enum { INPUT, UNIT, SUM, POOL };

/* The working memory of one thread; the next thread's begins `size` bytes later. */
typedef struct {
    V *value;     /* the source's value in the current region, with the step's padding */
    V *slopes;    /* the slopes of the source's activation there */
    V *back;      /* the gradient of the convolution's result there, with back_margin */
    V *full;      /* the convolution's result, of a unit with pooling */
    V *mapped;    /* Winograd: a few rows of tiles; p4: transformed input */
    V *products;  /* Winograd: as many tiles; p4: transformed result */
    V *sums;      /* the weights' gradients, for each lane */
    V *norm_sums; /* two for each channel */
    int64_t size;
} Work;

/* One step and its value. Steps refer to each other by number. All fields have eight bytes.
 * A UNIT's value is dropout(activation(norm(pool(convolution(source))))); `numbers` stores the input
 * of norm, and steps that read the value compute the rest. For other steps `numbers` stores the value,
 * with `margin` zeros around each plane. */
typedef struct {
    int64_t kind, source, other;
    int64_t channels, height, width, margin;
    int64_t kernel, padding, stride, depthwise, side, activation, has_norm;
    int64_t accumulates;     /* later steps have already added to the source's gradient */
    int64_t completes; /* this step completes the source's gradient */
    int64_t has_dropout, key, threshold; /* see `apply_dropout` */
    int64_t p4;  /* a 1x1 convolution's weights are by p4 of channels (p4.h) */
    int64_t frozen; /* evaluation: batch norm uses the running statistics and does not change them */
    double dropout_scale, momentum, epsilon;
    const float *weight, *bias, *gamma, *beta;
    float *mean, *variance;
    float *dweight, *dbias, *dgamma, *dbeta;
    /* The fields below are set by `chain_plan`. */
    int64_t full_height, full_width, back_margin;
    int64_t rows;  /* rows of the source in a region, without the padding */
    int64_t tiles; /* use Winograd tiles (winograd.h) */
    int64_t unstored; /* the step that reads it computes its value; see `leaves_unstored` */
    V *numbers;  /* of all blocks */
    V *gradient; /* of all blocks, or of one for each thread if the value is not stored; without margin:
                  * of the value; when complete, before the activation */
    Bytes *argmax;
    Work work; /* UNIT, and POOL of a unit's value */
    float *packed, *flipped;
    Channel *channel;
    double *totals; /* of each block, two for each channel */
} Step;

#define MIN_TILE_CHANNELS 8 /* with fewer channels, Winograd's transforms cost more than they save */
#define CACHED_VECTORS 28 /* vectors of each channel in a region of a 1x1 convolution */
#define CACHED_BYTES 250000 /* bytes of a region of another convolution */

static long min_of(long a, long b) { return a < b ? a : b; }
static long area(const Step *s) { return s->height * s->width; }
static long block_of(const Step *s) { return s->channels * area(s); }
static long row_of(const Step *s) { return s->width + 2 * s->margin; }
static long plane_of(const Step *s) { return (s->height + 2 * s->margin) * row_of(s); }
static long weights_of(const Step *s, const Step *steps)
{
    return s->channels * s->kernel * s->kernel * (s->depthwise ? 1 : steps[s->source].channels);
}

/* The number of weights that the convolution computes with, transformed ones for Winograd and p4. */
static long computed_weights(const Step *s, const Step *steps)
{
    long weights = weights_of(s, steps);
    if (s->p4) return P4_WEIGHTS(weights);
    return s->tiles ? weights / (s->kernel * s->kernel) * POSITIONS : weights;
}

/* The gradient of block b, on the thread that works on it. */
static V *gradient_of(const Step *s, long b)
{
    return s->gradient + (s->unstored ? omp_get_thread_num() : b) * block_of(s);
}

/* Whether a unit has nothing after its convolution, so that its value is stored. */
static int is_plain(const Step *s)
{
    return s->kind == UNIT && !s->has_norm && !s->bias && s->activation == NONE && !s->has_dropout;
}

/* Whether the value of `s` need not be stored: it is a depthwise convolution of a stored value, and only
 * a 1x1 convolution reads it. To compute it twice takes less time than to store and to load it. */
static int leaves_unstored(const Step *s, const Step *steps, const Step *end)
{
    if (!is_plain(s) || !s->depthwise || s->stride > 1 || s->side > 1) return 0;
    if (s->kernel > 3 || steps[s->source].kind == UNIT) return 0;
    long readers = 0, number = s - steps;
    for (const Step *other = s + 1; other < end; other++) {
        int reads = other->source == number;
        if (other->kind == SUM && other->other == number) return 0;
        if (reads && (other->kind != UNIT || other->depthwise || other->kernel > 1 || other->padding > 0
                      || other->stride > 1))
            return 0;
        readers += reads;
    }
    return readers == 1;
}

static void *allocate(char *memory, size_t *used, long bytes)
{
    void *place = memory ? memory + *used : NULL;
    *used += ((size_t)bytes + 63) / 64 * 64;
    return place;
}

/* The rows of a unit's region, few enough that its working memory stays in a fast cache. A depthwise
 * unit processes one channel at a time instead. */
static long rows_of(const Step *s, const Step *source)
{
    int keeps_size = s->kernel == 2 * s->padding + 1 && s->stride == 1 && s->side == 1;
    if (s->depthwise || !keeps_size) return source->height;
    if (s->kernel == 1) return source->width < CACHED_VECTORS ? CACHED_VECTORS / source->width : 1;
    long row = (s->channels + source->channels) * (source->width + 2 * s->padding) * (long)sizeof(V);
    long rows = (CACHED_BYTES / row - 2 * s->padding) / 2 * 2;
    return rows < 4 ? 4 : rows;
}

static void plan_unit(Step *s, const Step *steps)
{
    const Step *source = steps + s->source;
    s->full_height = (source->height + 2 * s->padding - s->kernel) / s->stride + 1;
    s->full_width = (source->width + 2 * s->padding - s->kernel) / s->stride + 1;
    s->back_margin = source->kind == INPUT ? 0 : s->kernel - 1 - s->padding;
    s->rows = min_of(rows_of(s, source), source->height);
    s->tiles = !s->depthwise && s->kernel == 3 && s->stride == 1 && s->full_height % 2 == 0
               && s->full_width % 2 == 0 && source->height % 2 == 0 && source->width % 2 == 0
               && min_of(s->channels, source->channels) >= MIN_TILE_CHANNELS;
}

static int same_work_shape(const Step *a, const Step *b, const Step *steps)
{
    const Step *one = steps + a->source, *other = steps + b->source;
    return b->kind == UNIT && a->depthwise == b->depthwise && a->padding == b->padding && a->kernel == b->kernel
           && a->p4 == b->p4 && a->stride == b->stride && a->side == b->side && a->channels == b->channels
           && a->back_margin == b->back_margin && one->channels == other->channels
           && one->height == other->height && one->width == other->width;
}

/* Assigns the working memory of a unit. Units with the same shapes share it, which uses less of the
 * cache, and the zeros of margins stay zeros. */
static void plan_work(Step *s, const Step *steps, const Step *end, long threads, char *memory,
                         size_t *used)
{
    const Step *source = steps + s->source, *like = s + 1;
    while (like < end && !same_work_shape(s, like, steps)) like++;
    if (like < end) {
        s->work = like->work;
        return;
    }
    long vector = sizeof(V), whole = s->rows == source->height;
    long in = vector * (s->depthwise ? 1 : source->channels);
    long values = in * (s->rows + 2 * s->padding) * (source->width + 2 * s->padding);
    long back_rows = (whole ? s->full_height : s->rows) + 2 * s->back_margin;
    long out = vector * (s->depthwise ? 1 : s->channels);
    size_t before = *used;
    s->work.value = allocate(memory, used, values);
    s->work.slopes = allocate(memory, used, values);
    s->work.back = allocate(memory, used, out * back_rows * (s->full_width + 2 * s->back_margin));
    s->work.full = allocate(memory, used, s->side > 1 ? out * s->full_height * s->full_width : 0);
    if (s->tiles) {
        long most = s->channels > source->channels ? s->channels : source->channels;
        long wider = s->full_width > source->width ? s->full_width : source->width;
        long tiles = TOGETHER > wider / 2 ? TOGETHER : wider / 2;
        tiles = place_of(most, tiles) * POSITIONS * vector;
        s->work.mapped = allocate(memory, used, tiles);
        s->work.products = allocate(memory, used, tiles);
    }
    if (s->p4) {
        s->work.mapped = allocate(memory, used, values);
        s->work.products = allocate(memory, used, out * s->rows * s->full_width);
    }
    s->work.sums = allocate(memory, used, computed_weights(s, steps) * vector);
    s->work.norm_sums = allocate(memory, used, s->channels * 2 * vector);
    s->work.size = (int64_t)(*used - before);
    *used += (size_t)((threads - 1) * s->work.size);
}

/* The working memory of thread number `thread`. */
static Work work_of(const Step *s, long thread)
{
    Work work = s->work;
    long on = thread * work.size / (long)sizeof(V);
    work.value += on, work.slopes += on, work.back += on, work.full += on;
    work.mapped += on, work.products += on, work.sums += on, work.norm_sums += on;
    return work;
}

/* Plans `count` steps for `images` on `threads` and returns the bytes of memory that they need. memory
 * is aligned to 64 bytes and filled with zeros; if it is NULL, only the size is computed. */
long chain_plan(Step *steps, long count, long images, long threads, char *memory)
{
    size_t used = 0;
    long blocks = (images + LANES - 1) / LANES, vector = sizeof(V);
    for (Step *s = steps; s < steps + count; s++) s->gradient = NULL;
    for (long n = count - 1; n >= 0; n--) {
        Step *s = steps + n;
        if (s->kind == UNIT) plan_unit(s, steps);
        long block = block_of(s), weights = computed_weights(s, steps);
        s->unstored = leaves_unstored(s, steps, steps + count);
        if (s->kind != INPUT && !s->gradient)
            s->gradient = allocate(memory, &used, (s->unstored ? threads : blocks) * block * vector);
        if (s->kind == SUM) steps[s->source].gradient = s->gradient; /* of both terms */
        long padded = s->channels * plane_of(s);
        long numbers = s->unstored ? 0 : s->kind == UNIT ? block : padded;
        s->numbers = allocate(memory, &used, blocks * numbers * vector);
        if (s->side > 1) s->argmax = allocate(memory, &used, blocks * block * (long)sizeof(Bytes));
        if (s->kind == POOL) {
            s->work.size = area(steps + s->source) * vector;
            s->work.value = allocate(memory, &used, threads * s->work.size);
        }
        if (s->kind != UNIT) continue;
        plan_work(s, steps, steps + count, threads, memory, &used);
        s->packed = allocate(memory, &used, weights * (long)sizeof *s->packed);
        s->flipped = allocate(memory, &used, weights * (long)sizeof *s->flipped);
        s->channel = allocate(memory, &used, s->channels * (long)sizeof *s->channel);
        s->totals = allocate(memory, &used, blocks * s->channels * 2 * (long)sizeof *s->totals);
    }
    return (long)used;
}
