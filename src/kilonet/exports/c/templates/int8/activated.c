
/* 32768 * sigmoid(v / 1024), interpolated in the table. */
static inline int32_t sigmoid(int32_t v)
{
    int32_t size = v < 0 ? -v : v;
    size = size < 8192 ? size : 8192;
    const KILONET_FLASH uint16_t *entry = sigmoid_table + (size >> 6);
    const int32_t gate = entry[0] + (((entry[1] - entry[0]) * (size & 63) + 32) >> 6);

    return v < 0 ? 32768 - gate : gate;
}

/* The activation of v in 1024ths, times gain / 2^(33 + gain_shift), rounded half up; both factors are
   split into 16 bits and the rest. */
static inline int32_t activated(const KILONET_FLASH step *s, const channel *k, int32_t v)
{
    const int32_t x = v < -32768 ? -32768 : v > 32767 ? 32767 : v;
    const int32_t y = $product;
    const int32_t gain_low = k->gain[0], gain_high = k->gain[1];
    const int32_t low = y & 0xFFFF, high = y >> 16;
    const int32_t carry = (int32_t)((uint32_t)low * (uint32_t)gain_low >> 16);
    const int32_t middle = high * gain_low + low * gain_high + carry;

    return (((high * gain_high + (middle >> 16)) >> s->gain_shift) + 1) >> 1;
}
