/* Returns the class of an image; logits receives $logit_unit. All memory is static, so calls must
   not overlap. */
int ${name}_predict(const uint8_t image[$pixels], $logit logits[$classes]);
