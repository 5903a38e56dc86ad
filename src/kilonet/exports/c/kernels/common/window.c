/* A layer that moves a window over a map. Maps lie row by row, the channels of a pixel side by side. */
typedef struct {
    int height, width, channels;             /* of the input */
    int out_height, out_width, out_channels; /* of the output, after pooling */
    int kernel_height, kernel_width;
    int stride_down, stride_across;
    int top, left;                           /* zeros above and to the left of the input */
    int groups;
    int pool_down, pool_across;              /* max pooling of the result, 1 and 1 for none */
} window;
