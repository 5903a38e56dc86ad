/* What turns the sums of one channel into bytes. */
typedef struct {
    uint32_t multiplier, low;
    int32_t high;
    uint16_t gain[2];
} channel;

$sigmoid
static uint8_t *row_of(context *n, uint8_t number, int row)
{
    const KILONET_FLASH value *v = &values[number];
    const int place = (v->first + row) % v->ring;

    return n->arena + v->offset + (uint32_t)place * ((uint32_t)v->width * v->channels);
}

static int32_t stored_int16($position at, int i)
{
    const KILONET_FLASH uint8_t *const bytes = data + at + 2 * i;

    return (int16_t)((uint16_t)bytes[0] | (uint16_t)(bytes[1] << 8));
}

static channel channel_of(const KILONET_FLASH step *s, int c)
{
    channel k = {s->factor[0], 0, (int32_t)1 << (s->shift - 1), {s->gain[0], s->gain[1]}};
    int32_t offset = 0;

    if (s->divisor) {
        const uint8_t divisor = *(data + s->divisor + (s->flags & SHARED_GAIN ? c / 4 : c));
        const uint32_t gain = ((uint32_t)s->gain[1] << 16 | s->gain[0]) * divisor;
        k.gain[0] = (uint16_t)gain;
        k.gain[1] = (uint16_t)(gain >> 16);
    }
    if (s->multiplier) {
        const int i = s->flags & SHARED_SCALE ? c / 4 : c;
        k.multiplier *= s->flags & BYTES ? *(data + s->multiplier + i)
                                         : (uint16_t)stored_int16(s->multiplier, i);
    }
    if (s->offset)
        offset = s->flags & BYTES ? (int8_t)*(data + s->offset + c) : stored_int16(s->offset, c);
    offset *= s->offset_unit;
    if (s->flags & HIGH_OFFSET) {
        k.high += offset;
    } else {
        k.high += offset >> 16;
        k.low = (uint32_t)offset & 0xFFFF;
    }
    return k;
}

/* A sum times the multiplier plus the offset, divided by 2^(16 + shift), rounded half up. The sum is
   split into 16 bits and the rest, so that both products fit into 32 bits. */
static inline int32_t scaled(int32_t sum, const channel *k, uint8_t sum_shift, uint8_t shift)
{
    const int32_t v = (int32_t)((uint32_t)sum << sum_shift);
    const uint32_t low = ((uint32_t)v & 0xFFFF) * k->multiplier + k->low;

    return ((v >> 16) * (int32_t)k->multiplier + k->high + (int32_t)(low >> 16)) >> shift;
}
$activation
/* Turns sums into bytes that are `distance` apart. They are sums of one channel, or, if next_channel is
   1, of the channels k, k + 1, ... */
static KILONET_HOT void store(const KILONET_FLASH step *s, const channel *k, int next_channel,
                              const int32_t *sum, int count, uint8_t *out, int distance)
{
    const int32_t zero = s->zero_out, low = s->low, high = s->high;

    for (const int32_t *const end = sum + count; sum < end; k += next_channel, out += distance) {
        int32_t v = scaled(*sum++, k, s->sum_shift, s->shift);
        $activate
        v += zero;
        *out = (uint8_t)(v < low ? low : v > high ? high : v);
    }
}
