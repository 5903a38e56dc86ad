/* A firmware that classifies pictures with $name. Replace next_pixel by your camera or sensor. */

#include "$name.h"

volatile uint8_t pixel_register; /* stands for the data register of a sensor */
volatile int latest_class;       /* a debugger shows it; set pins here */

static uint8_t next_pixel(void)
{
    return pixel_register;
}

int main(void)
{
    $image;
    $logit logits[$classes];

    for (;;) {
        for (unsigned i = 0; i < $pixels; i++)
            image[i] = next_pixel();
        latest_class = $classify;
    }
}
