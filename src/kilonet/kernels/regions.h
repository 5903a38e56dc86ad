/* Regions of a block, which a unit processes one at a time, and their values. */

/* The images and blocks of a batch, and the number of threads. */
typedef struct {
    long images, blocks, threads;
} Batch;

static Batch batch_of(long images, long threads)
{
    return (Batch){images, (images + LANES - 1) / LANES, threads};
}

/* The number of images in a block. */
static long filled(const Batch *batch, long b) { return min_of(batch->images - b * LANES, LANES); }

/* A region of a block: some of its channels, and some of their rows. */
typedef struct {
    long b, channel, channels, y, rows;
} Region;

static Region whole(const Step *s, long b) { return (Region){b, 0, s->channels, 0, s->height}; }

/* The stored value of a region, of a step that is not a unit. */
static Planes stored(const Step *s, Region part)
{
    long row = row_of(s), plane = plane_of(s), block = part.b * s->channels + part.channel;
    return (Planes){s->numbers + block * plane + (s->margin + part.y) * row + s->margin, row, plane};
}

/* Whether the steps after `s` need all blocks of `s`, for batch norm. */
static int needs_whole_batch(const Step *s) { return s->kind == UNIT && s->has_norm && !s->frozen; }

static Planes plain(const Step *s, Region part)
{
    long pixels = area(s), first = part.b * s->channels + part.channel;
    return (Planes){s->numbers + first * pixels + part.y * s->width, s->width, pixels};
}

/* Writes the value of a region to `to`, plus `base` unless that is NULL, and the activation's slopes,
 * without margin, unless `slopes` is NULL. */
static void write_value(const Step *s, Region part, Planes to, V *slopes, const Planes *base)
{
    long pixels = area(s), count = part.rows * s->width;
    int activation = (int)s->activation, has_dropout = (int)s->has_dropout;
    Planes from = s->kind == UNIT ? (Planes){NULL, 0, 0} : stored(s, part);
    for (long c = 0; c < part.channels; c++) {
        const Channel *one = s->channel + part.channel + c;
        long at = (part.b * s->channels + part.channel + c) * pixels + part.y * s->width;
        int together = to.row == s->width && s->kind == UNIT && !base;
        long rows = together ? 1 : part.rows, wide = together ? count : s->width;
        for (long y = 0; y < rows; y++, at += wide) {
            const V *z = s->numbers + at, *there = from.at + c * from.plane + y * from.row;
            const V *under = base ? base->at + c * base->plane + y * base->row : NULL;
            V *place = to.at + c * to.plane + y * to.row;
            if (s->kind != UNIT)
                for (long x = 0; x < wide; x++) place[x] = there[x] + (base ? under[x] : (V){0});
            else if (base) apply_adding(z, wide, one, activation, has_dropout, at, under, place);
            else if (slopes)
                apply_keeping(z, wide, one, activation, has_dropout, at, place,
                              slopes + c * count + y * wide);
            else apply(z, wide, one, activation, has_dropout, at, place);
        }
    }
}

/* A region with up to `around` more rows above and below, within `height`. */
static Region with_margin(Region part, long around, long height)
{
    long y = part.y < around ? 0 : part.y - around;
    part.rows = min_of(part.y + part.rows + around, height) - y;
    part.y = y;
    return part;
}

/* Clears the rows around `part` that are outside the plane; `there` are the rows inside. */
static void clear_rows(Planes to, Region part, Region there, long around)
{
    long above = there.y - (part.y - around), all = part.rows + 2 * around;
    size_t row = (size_t)to.row * sizeof(V);
    for (long c = 0; c < part.channels; c++)
        for (long y = 0; y < all; y++)
            if (y < above || y >= above + there.rows) memset(to.at + c * to.plane + y * to.row, 0, row);
}

/* Computes a region of the value of a depthwise unit that is not stored, in `value`. */
static Planes depthwise_value(const Step *s, const Step *source, Region part, V *value)
{
    long pixels = part.rows * s->width, taps = s->kernel * s->kernel;
    Planes in = stored(source, part), to = {value, s->width, pixels};
    in.at -= s->padding * (in.row + 1);
    for (long c = 0; c < s->channels; c++, in.at += in.plane, to.at += pixels) {
        const V *next = in.at + (part.rows + 2 * s->padding) * in.row; /* rows of the next region */
        for (long k = 0; k < part.rows * in.row; k++) __builtin_prefetch(next + k);
        convolve_depthwise(in, s->kernel, 1, s->packed + c * taps, to, part.rows, s->width, 0);
    }
    return (Planes){value, s->width, pixels};
}

/* The value of a region of s's source with s's padding; computed in `value` if it is not stored. */
static Planes read_source(const Step *s, const Step *steps, Region part, V *value, V *slopes)
{
    const Step *source = steps + s->source;
    long padding = s->padding, row = source->width + 2 * padding;
    if (source->unstored) return depthwise_value(source, steps + source->source, part, value);
    if (source->kind != UNIT) {
        Planes in = stored(source, part);
        in.at -= padding * (in.row + 1);
        return in;
    }
    if (padding == 0 && is_plain(source)) return plain(source, part);
    Region there = with_margin(part, padding, source->height);
    Planes in = {value, row, (part.rows + 2 * padding) * row}, inner = in;
    inner.at += (there.y - (part.y - padding)) * row + padding;
    if (part.rows < source->height) clear_rows(in, part, there, padding);
    write_value(source, there, inner, slopes, NULL);
    return in;
}

/* The regions of a source's block that a unit processes one after another. */
static Region first_part(const Step *s, const Step *source, long b)
{
    return (Region){b, 0, s->depthwise ? 1 : source->channels, 0, s->rows};
}

static int next_part(const Step *s, const Step *source, Region *part)
{
    if (s->depthwise) return ++part->channel < source->channels;
    part->y += part->rows;
    part->rows = min_of(part->rows, source->height - part->y);
    return part->rows > 0;
}

/* The region of the convolution's result that comes from a region of its source. */
static Region result_of(const Step *s, const Step *source, Region part)
{
    if (!s->depthwise) part.channels = s->channels;
    if (part.rows == source->height) part.rows = s->full_height;
    return part;
}

static double *totals_of(const Step *s, long b, long channel)
{
    return s->totals + 2 * (b * s->channels + channel);
}

/* Adds `images` lanes of two sums to the totals of a block's channel. */
static void add_to_totals(const Step *s, long b, long channel, const V *sums, long images)
{
    double *totals = totals_of(s, b, channel);
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
    for (long b = 0; b < batch->blocks; b++) sum += totals_of(s, b, channel)[which];
    return sum;
}
