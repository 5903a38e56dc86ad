/* $title: see $name.h. Generated.
   -D${macro}_SELF_TEST adds a main that checks it on generated images. */

#include "$name.h"

$includes

const char *const ${name}_classes[$classes] = {
    $class_names
};

static int largest_of(const $logit logits[$classes])
{
    int best = 0;
    for (int i = 1; i < $classes; i++)
        best = logits[i] > logits[best] ? i : best;
    return best;
}

$code
#ifndef KILONET_NO_LIBM
void ${name}_probabilities(const $logit logits[$classes], float probabilities[$classes])
{
    const $logit largest = logits[largest_of(logits)];
    float total = 0.0f;

    for (int i = 0; i < $classes; i++)
        total += probabilities[i] = expf($exponent);
    for (int i = 0; i < $classes; i++)
        probabilities[i] /= total;
}
#endif

#ifdef ${macro}_SELF_TEST
#include <stdio.h>

static const $logit expected[$tests][$classes] = {
$expected
};

/* The first image is black, the others are striped. */
static void make_image(unsigned number, uint8_t *image)
{
    for (unsigned y = 0; y < $height; y++) {
        for (unsigned x = 0; x < $width; x++) {
            for (unsigned c = 0; c < $channels; c++) {
                const uint32_t v = x * (3 + number) + y * (5 + 2 * number) + 17 * c;
                *image++ = (uint8_t)(number == 0 || v & 64 ? 0 : v * v / 7 % 256);
            }
        }
    }
}

int main(void)
{
    static uint8_t image[$pixels];
    $logit logits[$classes];

    for (unsigned number = 0; number < $tests; number++) {
        make_image(number, image);
        ${name}_predict(image, logits);
        for (int i = 0; i < $classes; i++) {
            const $difference_type difference = logits[i] - expected[number][i];
            if (difference > $tolerance || difference < -$tolerance) {
                printf("image %u: logit %d is wrong\n", number, i);
                return 1;
            }
        }
    }
    printf("$name: all right\n");
    return 0;
}
#endif
