/* A product divided by 2^shift, rounding half up. */
static int64_t rounded(int64_t product, int shift)
{
    product += (int64_t)1 << (shift - 1);
    return product >= 0 ? product >> shift : ~(~product >> shift);
}
