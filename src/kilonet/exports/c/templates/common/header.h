/* $title

   Classifies an image of ${height}x${width} pixels into $classes classes.
   $provenance

   The image: $pixels bytes, row by row$interleaved.
   $input_text

   Flash: $weight_bytes bytes of weights and tables, and the code.
   RAM:   $ram_text, and about $stack_bytes bytes of stack.
   No dynamic allocation. */

#ifndef ${macro}_H
#define ${macro}_H

#include <stdint.h>

#define ${macro}_HEIGHT $height
#define ${macro}_WIDTH $width
#define ${macro}_CHANNELS $channels
#define ${macro}_CLASSES $classes
#define ${macro}_WEIGHT_BYTES $weight_bytes
#define ${macro}_ARENA_BYTES $arena_bytes
$logit_scale
#ifdef __cplusplus
extern "C" {
#endif

/* The class names. */
extern const char *const ${name}_classes[$classes];

$api
#ifndef KILONET_NO_LIBM
/* Computes probabilities from logits: exp(x) / sum. Needs expf; -DKILONET_NO_LIBM omits it. */
void ${name}_probabilities(const $logit logits[$classes], float probabilities[$classes]);
#endif

#ifdef __cplusplus
}
#endif

#endif
