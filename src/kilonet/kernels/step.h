/* The steps of a chain of convolution blocks, and what they need of memory. */

enum { INPUT, UNIT, SUM, POOL };

/* What one thread works in; that of the next is `size` bytes on. */
typedef struct {
    V *value;     /* the source's value, for as much as is worked on, with the step's padding */
    V *slopes;    /* as much of the slopes of the source's nonlinearity */
    V *back;      /* as much of the gradient of the convolution's result, with back_margin */
    V *full;      /* of a unit that pools: the convolution's result */
    V *mapped;    /* of a unit by tiles: a few rows of them, of the larger of both channels; of one */
    V *products;  /* as many; by p4: the source's transform, and the result's */
    V *sums;      /* of weights' gradients */
    V *norm_sums; /* two for each channel */
    int64_t size;
} Work;

/* One step, and the value that it makes, known by the step's number. All fields are of eight bytes.
 * A UNIT's value is dropout(activation(norm(pool(convolution(source))))); `numbers` has what comes
 * before norm, and everyone who needs the value computes it. Other steps' values are there, with
 * `margin` zeros around each plane. */
typedef struct {
    int64_t kind, source, other;
    int64_t channels, height, width, margin;
    int64_t kernel, padding, stride, depthwise, side, activation, normed;
    int64_t adds;     /* the source's gradient has a share of later steps already */
    int64_t finishes; /* with this step's share it is whole */
    int64_t drops, key, threshold; /* dropout: see `dropped` */
    int64_t p4;  /* a 1x1 convolution's weights are by p4 of channels (p4.h) */
    int64_t frozen; /* batch norm is by the running statistics, which stay as they are */
    double dropout_scale, momentum, epsilon;
    const float *weight, *bias, *gamma, *beta;
    float *mean, *variance;
    float *dweight, *dbias, *dgamma, *dbeta;
    /* below, what `chain_plan` finds out and lays out in memory */
    int64_t full_height, full_width, back_margin;
    int64_t rows;  /* of the source that a unit works on at a time, besides those around them */
    int64_t tiles; /* the convolution goes by way of tiles (winograd.h) */
    V *numbers;  /* of all blocks */
    V *gradient; /* of all blocks, without margin: of the value; once whole, before activation */
    Bytes *place;
    Work work; /* UNIT, and POOL of a unit's value */
    float *packed, *flipped;
    Channel *channel;
    double *totals; /* of each block, two for each channel */
} Step;

#define FEWEST_FOR_TILES 8 /* channels; with fewer, mapping takes longer than it saves */
#define NEAREST 28 /* vectors of each channel that a 1x1 convolution works on */
#define NEAR 250000 /* bytes that another one works in */

static long least_of(long a, long b) { return a < b ? a : b; }
static long area(const Step *s) { return s->height * s->width; }
static long block_of(const Step *s) { return s->channels * area(s); }
static long row_of(const Step *s) { return s->width + 2 * s->margin; }
static long plane_of(const Step *s) { return (s->height + 2 * s->margin) * row_of(s); }
static long weights_of(const Step *s, const Step *steps)
{
    return s->channels * s->kernel * s->kernel * (s->depthwise ? 1 : steps[s->source].channels);
}

/* How many numbers weights are computed with, and sums make their gradients: mapped ones, for tiles. */
static long places_of(const Step *s, const Step *steps)
{
    long weights = weights_of(s, steps);
    if (s->p4) return SHARE(weights);
    return s->tiles ? weights / (s->kernel * s->kernel) * PLACES : weights;
}

static void *taken(char *memory, size_t *used, long bytes)
{
    void *place = memory ? memory + *used : NULL;
    *used += ((size_t)bytes + 63) / 64 * 64;
    return place;
}

/* How many rows a unit works on at a time: so many that what it works in stays in a near cache. A
 * depthwise unit works on one channel at a time instead. */
static long rows_of(const Step *s, const Step *source)
{
    int keeps_size = s->kernel == 2 * s->padding + 1 && s->stride == 1 && s->side == 1;
    if (s->depthwise || !keeps_size) return source->height;
    if (s->kernel == 1) return source->width < NEAREST ? NEAREST / source->width : 1;
    long row = (s->channels + source->channels) * (source->width + 2 * s->padding) * (long)sizeof(V);
    long rows = (NEAR / row - 2 * s->padding) / 2 * 2;
    return rows < 4 ? 4 : rows;
}

static void find_out(Step *s, const Step *steps)
{
    const Step *source = steps + s->source;
    s->full_height = (source->height + 2 * s->padding - s->kernel) / s->stride + 1;
    s->full_width = (source->width + 2 * s->padding - s->kernel) / s->stride + 1;
    s->back_margin = source->kind == INPUT ? 0 : s->kernel - 1 - s->padding;
    s->rows = least_of(rows_of(s, source), source->height);
    s->tiles = !s->depthwise && s->kernel == 3 && s->stride == 1 && s->full_height % 2 == 0
               && s->full_width % 2 == 0 && source->height % 2 == 0 && source->width % 2 == 0
               && least_of(s->channels, source->channels) >= FEWEST_FOR_TILES;
}

static int works_alike(const Step *a, const Step *b, const Step *steps)
{
    const Step *one = steps + a->source, *other = steps + b->source;
    return b->kind == UNIT && a->depthwise == b->depthwise && a->padding == b->padding && a->kernel == b->kernel
           && a->p4 == b->p4 && a->stride == b->stride && a->side == b->side && a->channels == b->channels
           && a->back_margin == b->back_margin && one->channels == other->channels
           && one->height == other->height && one->width == other->width;
}

/* What a unit works in. Where another unit works in the same shape it is the same memory: less to
 * keep in the cache, and the zeros of margins stay zeros. */
static void lay_out_work(Step *s, const Step *steps, const Step *end, long threads, char *memory,
                         size_t *used)
{
    const Step *source = steps + s->source, *like = s + 1;
    while (like < end && !works_alike(s, like, steps)) like++;
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
    s->work.value = taken(memory, used, values);
    s->work.slopes = taken(memory, used, values);
    s->work.back = taken(memory, used, out * back_rows * (s->full_width + 2 * s->back_margin));
    s->work.full = taken(memory, used, s->side > 1 ? out * s->full_height * s->full_width : 0);
    if (s->tiles) {
        long most = s->channels > source->channels ? s->channels : source->channels;
        long wider = s->full_width > source->width ? s->full_width : source->width;
        long tiles = TOGETHER > wider / 2 ? TOGETHER : wider / 2;
        tiles = place_of(most, tiles) * PLACES * vector;
        s->work.mapped = taken(memory, used, tiles);
        s->work.products = taken(memory, used, tiles);
    }
    if (s->p4) {
        s->work.mapped = taken(memory, used, values);
        s->work.products = taken(memory, used, out * s->rows * s->full_width);
    }
    s->work.sums = taken(memory, used, places_of(s, steps) * vector);
    s->work.norm_sums = taken(memory, used, s->channels * 2 * vector);
    s->work.size = (int64_t)(*used - before);
    *used += (size_t)((threads - 1) * s->work.size);
}

/* The work of thread number `thread`. */
static Work work_of(const Step *s, long thread)
{
    Work work = s->work;
    long on = thread * work.size / (long)sizeof(V);
    work.value += on, work.slopes += on, work.back += on, work.full += on;
    work.mapped += on, work.products += on, work.sums += on, work.norm_sums += on;
    return work;
}

/* Lay out what `count` steps need for `images` on `threads`; return its bytes. memory, aligned to 64
 * bytes and filled with zeros, may be NULL to ask how much that is. It is for one batch at a time. */
long chain_plan(Step *steps, long count, long images, long threads, char *memory)
{
    size_t used = 0;
    long blocks = (images + LANES - 1) / LANES, vector = sizeof(V);
    for (Step *s = steps; s < steps + count; s++) s->gradient = NULL;
    for (long n = count - 1; n >= 0; n--) {
        Step *s = steps + n;
        if (s->kind == UNIT) find_out(s, steps);
        long block = block_of(s), weights = places_of(s, steps);
        if (s->kind != INPUT && !s->gradient)
            s->gradient = taken(memory, &used, blocks * block * vector);
        if (s->kind == SUM) steps[s->source].gradient = s->gradient; /* the same to both of a sum */
        long padded = s->channels * plane_of(s);
        s->numbers = taken(memory, &used, blocks * (s->kind == UNIT ? block : padded) * vector);
        if (s->side > 1) s->place = taken(memory, &used, blocks * block * (long)sizeof(Bytes));
        if (s->kind == POOL) {
            s->work.size = area(steps + s->source) * vector;
            s->work.value = taken(memory, &used, threads * s->work.size);
        }
        if (s->kind != UNIT) continue;
        lay_out_work(s, steps, steps + count, threads, memory, &used);
        s->packed = taken(memory, &used, weights * (long)sizeof *s->packed);
        s->flipped = taken(memory, &used, weights * (long)sizeof *s->flipped);
        s->channel = taken(memory, &used, s->channels * (long)sizeof *s->channel);
        s->totals = taken(memory, &used, blocks * s->channels * 2 * (long)sizeof *s->totals);
    }
    return (long)used;
}
