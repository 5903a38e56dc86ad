/* A layer with a sliding window. Maps are in the order row, column, channel. */
typedef struct {
    int height, width, channels;             /* of the input */
    int out_height, out_width, out_channels; /* of the output, after pooling */
    int kernel_height, kernel_width;
    int stride_down, stride_across;
    int top, left;                           /* padding above and to the left of the input */
    int groups;
    int pool_down, pool_across;              /* max pooling of the result; 1 and 1: none */
} window;
