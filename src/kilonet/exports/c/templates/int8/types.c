/* A value: the rows of a map in a ring of the arena. A vector is one row. */
typedef struct {
    $position offset;  /* of the ring */
    uint16_t channels;
    uint8_t width, height;
    uint8_t ring, first; /* places for rows; the place of row 0 */
} value;

/* A layer with a sliding window. */
typedef struct {
    uint8_t rows, columns;          /* of the window */
    uint8_t down, across;           /* stride */
    uint8_t top, left, right;       /* padding */
    uint8_t pool_down, pool_across; /* max pooling of the sums; 1 and 1: none */
} window;

/* A step computes rows of a value. Parameters lie in data, from the positions given here. */
typedef struct step {
    uint8_t in[2], out;             /* values */
    uint8_t geometry;               /* the window */
    uint8_t sum_shift, shift, gain_shift;
    uint8_t activation, flags;
    $position weight, multiplier, offset, divisor; /* in data; 0: none */
    uint16_t factor[2];             /* of the inputs; or factor[0], the unit of the multipliers */
    uint16_t gain[2];               /* of the activation's result: lower and upper 16 bits */
    uint16_t slope;                 /* of leaky ReLU, in 1/32768 */
    uint16_t groups;                /* of a convolution; or the first channel of a part */
    int16_t zero[2], zero_out;      /* the integers that stand for 0 */
    int16_t low, high;              /* limits of the result */
    int32_t offset_unit;            /* of the offsets: the smallest step times a number for all */
    void (*compute)(const KILONET_FLASH struct step *s, context *n, int row);
} step;

enum { NONE, SILU, SIGMOID, LEAKY_RELU };
enum {
    ROTATED = 1,      /* one of four filters is stored; the others are rotated by 90, 180, 270 degrees */
    SHARED_SCALE = 2, /* four channels share a multiplier */
    SHARED_GAIN = 16, /* four channels share a divisor */
    HIGH_OFFSET = 4,  /* offsets are in units of 2^16 */
    BYTES = 8         /* multipliers and offsets are bytes, in units that the layer shares */
};
