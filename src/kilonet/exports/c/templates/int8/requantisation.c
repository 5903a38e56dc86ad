/* Requantisation of a scaled sum v: v plus the zero point, between low and high. */
typedef struct {
    int zero_point, low, high;
} requantisation;

static int requantise(int64_t v, const requantisation *q, int channel)
{
    (void)channel; /* only activations need it */
    v += q->zero_point;
    return (int)(v < q->low ? q->low : v > q->high ? q->high : v);
}
