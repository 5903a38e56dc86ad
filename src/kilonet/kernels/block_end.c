/* The end of a convolution block while it is trained, in few passes over memory: max pooling, batch
 * norm over the batch, ReLU or SiLU, dropout; and their gradient.
 *
 * Tensors are in channels-last order (image, row, column, channel), float32 or bfloat16; all that is
 * summed is summed in float32 within a few images and in double precision over all. Compilers only
 * vectorise what is regular, so every loop that matters runs over a "period": the smallest number of
 * elements that is a whole number of channels and of vectors. Values that belong to a channel are
 * repeated to fill one.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define LANES 16      /* float32 numbers of the widest vector there is */
#define SHORTEST 64   /* elements that are worth a loop */
#define RELU 0        /* the codes that block_end.py gives */
#define SILU 1

INLINE float of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

INLINE float float_of_bfloat16(uint16_t bits)
{
    return of_bits((uint32_t)bits << 16);
}

/* Round to nearest, ties to even; finite numbers only. */
INLINE uint16_t bfloat16_of_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

/* 1 / (1 + exp(-x)): two to the power of a whole number, and of the rest by its Taylor series, which
 * is within 4e-6 of it. libm's expf would be called for one number at a time. */
INLINE float sigmoid(float x)
{
    float power = x * -1.44269504f;
    power = power < -126 ? -126 : power;
    power = power > 126 ? 126 : power;
    float whole = rintf(power), rest = power - whole;
    float series = 0.00961812911f + rest * 0.00133335581f;
    series = 0.0555041087f + rest * series;
    series = 0.240226507f + rest * series;
    series = 1.0f + rest * (0.693147181f + rest * series);
    return 1.0f / (1.0f + series * of_bits((uint32_t)((int32_t)whole + 127) << 23));
}

INLINE float activated(float x, const int activation)
{
    return activation == RELU ? (x > 0 ? x : 0.0f) : x * sigmoid(x);
}

INLINE float slope(float x, const int activation)
{
    if (activation == RELU) return x > 0 ? 1.0f : 0.0f;
    float s = sigmoid(x);
    return s * (1 + x * (1 - s));
}

static long period_of(long channels)
{
    long a = channels, b = LANES;
    while (b) {
        long rest = a % b;
        a = b;
        b = rest;
    }
    long period = channels / a * LANES;
    return period < SHORTEST ? (SHORTEST - 1) / period * period + period : period;
}

/* What a tensor of images is: its sizes before and after pooling by windows of side x side. */
typedef struct {
    long images, height, width, channels, side;
} Shape;

static long pooled_row(const Shape *s) { return s->width / s->side * s->channels; }
static long pooled_image(const Shape *s) { return s->height / s->side * pooled_row(s); }

/* Elements of as many images as make whole periods, or sixteen of them. */
static long portion_of(const Shape *s, long period)
{
    long one = pooled_image(s), portion = one;
    while (portion % period && portion < LANES * one) portion += one;
    return portion;
}

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

#define NAME(word) JOIN(word, _float32)
#define T float
#define WIDE float
#define LOAD(value) (value)
#define STORE(value) (value)
#include "block_end_of_type.h"
#undef NAME
#undef T
#undef WIDE
#undef LOAD
#undef STORE

#define NAME(word) JOIN(word, _bfloat16)
#define T uint16_t
#define WIDE int32_t
#define LOAD(value) float_of_bfloat16(value)
#define STORE(value) bfloat16_of_float(value)
#include "block_end_of_type.h"
