/* Vectors of the processor's width, with one number of each image of a block; and the largest tiles of
 * sums that fit into its 32 or 16 registers together with a few other vectors.
 */

#ifdef __AVX__
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define LANES 16
#define FIRST {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
#elif defined(__AVX__)
#define LANES 8
#define FIRST {0, 1, 2, 3, 4, 5, 6, 7}
#else
#define LANES 4
#define FIRST {0, 1, 2, 3}
#endif

#if defined(__AVX512F__) || defined(__aarch64__)
#define WIDEST 7 /* columns of a tile of 4 channels; it divides 28, 14 and 7 */
#define EACH_WIDTH(deep) TILE(deep, 1) TILE(deep, 4) TILE(deep, 5) TILE(deep, 6) TILE(deep, 7)
#define EACH_TILE_P4 \
    TILE_P4(1) TILE_P4(2) TILE_P4(3) TILE_P4(4) TILE_P4(5) TILE_P4(6) TILE_P4(7)
#define DEEPEST 4   /* channels of the gradient in a tile with 5 taps, */
#define DEEPEST_3 2 /* or with 9 taps */
#define BROADEST 5  /* channels of gradient and input in a tile with one tap */
#define EACH_BREADTH(deep) PAIRS(deep, 1) PAIRS(deep, 2) PAIRS(deep, 3) PAIRS(deep, 4) PAIRS(deep, 5)
#define EACH_DEPTH EACH_BREADTH(1) EACH_BREADTH(2) EACH_BREADTH(3) EACH_BREADTH(4) EACH_BREADTH(5)
#else
#define WIDEST 3
#define EACH_WIDTH(deep) TILE(deep, 1) TILE(deep, 2) TILE(deep, 3)
#define EACH_TILE_P4 TILE_P4(1) TILE_P4(2) TILE_P4(3)
#define DEEPEST 2
#define DEEPEST_3 1
#define BROADEST 3
#define EACH_BREADTH(deep) PAIRS(deep, 1) PAIRS(deep, 2) PAIRS(deep, 3)
#define EACH_DEPTH EACH_BREADTH(1) EACH_BREADTH(2) EACH_BREADTH(3)
#endif

typedef float V __attribute__((vector_size(4 * LANES), may_alias));
typedef int32_t W __attribute__((vector_size(4 * LANES), may_alias));
typedef uint32_t Words __attribute__((vector_size(4 * LANES), may_alias));
typedef uint8_t Bytes __attribute__((vector_size(LANES), may_alias));

static const Words FIRST_LANES = FIRST;

/* Stores a vector that is not read soon: past the caches if it is a cache line, which is then not loaded
 * first. `end_streams` comes after the last of such stores. */
INLINE void stream(V *to, V value)
{
#if defined(__AVX512F__)
    _mm512_stream_ps((float *)to, (__m512)value);
#else
    *to = value;
#endif
}

static void end_streams(void)
{
#if defined(__AVX512F__)
    _mm_sfence();
#endif
}
