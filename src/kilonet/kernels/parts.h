/* Parts of a batch and of a block, and values of them: what a unit works on at a time. */

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

/* A unit whose value is its numbers. */
static int is_plain(const Step *s)
{
    return s->kind == UNIT && !s->normed && !s->bias && s->activation == NONE && !s->drops;
}

static Planes plain(const Step *s, Part part)
{
    long pixels = area(s), first = part.b * s->channels + part.channel;
    return (Planes){s->numbers + first * pixels + part.y * s->width, s->width, pixels};
}

/* Put a part of a value to where it shall be, plus what is at `base`, unless that is NULL. slopes, if
 * they are wanted, have no margin. */
static void put(const Step *s, Part part, Planes to, V *slopes, const Planes *base)
{
    long pixels = area(s), count = part.rows * s->width;
    int activation = (int)s->activation, drops = (int)s->drops;
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
            else if (base) apply_adding(z, wide, one, activation, drops, at, under, place);
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
    if (padding == 0 && is_plain(source)) return plain(source, part);
    Part there = widened(part, padding, source->height);
    Planes in = {value, row, (part.rows + 2 * padding) * row}, inner = in;
    inner.at += (there.y - (part.y - padding)) * row + padding;
    if (part.rows < source->height) clear_rows(in, part, there, padding);
    put(source, there, inner, slopes, NULL);
    return in;
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
