/* The steps of a chain of convolution blocks, and what they need of memory. */

enum { INPUT, UNIT, SUM, POOL };

/* How a unit's convolution goes through a block: as a whole, one channel after another, or a few rows
 * of all channels after another, so that what it works on is in a cache as near as can be; or as a
 * whole by way of tiles (winograd.h). */
enum { WHOLE, BY_CHANNEL, BY_ROWS, BY_TILES };

/* What one thread works in; that of the next is `size` bytes on. */
typedef struct {
    V *value;     /* the source's value, for as much as is worked on, with the step's padding */
    V *slopes;    /* as much of the slopes of the source's nonlinearity */
    V *back;      /* as much of the gradient of the convolution's result, with back_margin */
    V *full;      /* of a unit that pools: the convolution's result */
    V *mapped;    /* of a unit by tiles: a few rows of them, of the larger of both channels */
    V *products;  /* as many */
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
    int64_t drops, key, least; /* dropout: see `dropped` */
    double factor, momentum, epsilon;
    const float *weight, *bias, *gamma, *beta;
    float *mean, *variance;
    float *dweight, *dbias, *dgamma, *dbeta;
    /* below, what `trunk_plan` finds out and lays out in memory */
    int64_t way, full_height, full_width, back_margin;
    V *numbers;  /* of all blocks */
    V *gradient; /* of all blocks, without margin: of the value; once whole, before activation */
    Bytes *place;
    Work work; /* UNIT, and POOL of a unit's value */
    float *packed, *flipped;
    Channel *channel;
    double *totals; /* of each block, two for each channel */
} Step;

#ifndef FEWEST_FOR_TILES
#define FEWEST_FOR_TILES 8 /* channels; with fewer, mapping takes longer than it saves */
#endif
#define ROWS 28 /* about as many vectors of each channel as BY_ROWS works on */

static long least_of(long a, long b) { return a < b ? a : b; }
static long area(const Step *s) { return s->height * s->width; }
static long block_of(const Step *s) { return s->channels * area(s); }
static long row_of(const Step *s) { return s->width + 2 * s->margin; }
static long plane_of(const Step *s) { return (s->height + 2 * s->margin) * row_of(s); }
static long rows_of(const Step *s) { return s->width < ROWS ? ROWS / s->width : 1; }
static long weights_of(const Step *s, const Step *steps)
{
    return s->channels * s->kernel * s->kernel * (s->depthwise ? 1 : steps[s->source].channels);
}

/* How many numbers weights are computed with: mapped ones, for tiles. */
static long places_of(const Step *s, const Step *steps)
{
    long weights = weights_of(s, steps);
    return s->way == BY_TILES ? weights / (s->kernel * s->kernel) * PLACES : weights;
}

static void *taken(char *memory, size_t *used, long bytes)
{
    void *place = memory ? memory + *used : NULL;
    *used += ((size_t)bytes + 63) / 64 * 64;
    return place;
}

static void find_out(Step *s, const Step *steps)
{
    const Step *source = steps + s->source;
    s->full_height = (source->height + 2 * s->padding - s->kernel) / s->stride + 1;
    s->full_width = (source->width + 2 * s->padding - s->kernel) / s->stride + 1;
    s->back_margin = source->kind == INPUT ? 0 : s->kernel - 1 - s->padding;
    int plain = s->kernel == 1 && s->padding == 0 && s->stride == 1 && s->side == 1;
    int tiles = s->kernel == 3 && s->stride == 1 && s->full_height % 2 == 0
                && s->full_width % 2 == 0 && source->height % 2 == 0 && source->width % 2 == 0
                && least_of(s->channels, source->channels) >= FEWEST_FOR_TILES;
    s->way = s->depthwise ? BY_CHANNEL : plain ? BY_ROWS : tiles ? BY_TILES : WHOLE;
}

static int works_alike(const Step *a, const Step *b, const Step *steps)
{
    const Step *one = steps + a->source, *other = steps + b->source;
    return b->kind == UNIT && a->way == b->way && a->padding == b->padding && a->kernel == b->kernel
           && a->stride == b->stride && a->side == b->side && a->channels == b->channels
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
    long vector = sizeof(V), rows = s->way == BY_ROWS ? rows_of(source) : source->height + 2 * s->padding;
    long in = vector * (s->way == BY_CHANNEL ? 1 : source->channels);
    long values = in * rows * (source->width + 2 * s->padding);
    long back_rows = s->way == BY_ROWS ? rows : s->full_height + 2 * s->back_margin;
    long out = vector * (s->way == BY_CHANNEL ? 1 : s->channels);
    size_t before = *used;
    s->work.value = taken(memory, used, values);
    s->work.slopes = taken(memory, used, values);
    s->work.back = taken(memory, used, out * back_rows * (s->full_width + 2 * s->back_margin));
    s->work.full = taken(memory, used, s->side > 1 ? out * s->full_height * s->full_width : 0);
    if (s->way == BY_TILES) {
        long most = s->channels > source->channels ? s->channels : source->channels;
        long wider = s->full_width > source->width ? s->full_width : source->width;
        long tiles = TOGETHER > wider / 2 ? TOGETHER : wider / 2;
        tiles = place_of(most, tiles) * PLACES * vector;
        s->work.mapped = taken(memory, used, tiles);
        s->work.products = taken(memory, used, tiles);
    }
    s->work.sums = taken(memory, used, weights_of(s, steps) * vector);
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
long trunk_plan(Step *steps, long count, long images, long threads, char *memory)
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
