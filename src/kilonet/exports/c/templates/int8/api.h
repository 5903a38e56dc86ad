/* Returns the class of an image; logits receives $logit_unit. The network's memory is
   static, so calls must not overlap. */
int ${name}_predict(const uint8_t image[$pixels], $logit logits[$classes]);

/* The same without a copy of the image: write it to where ${name}_input() says, then run. Its memory is
   used for other values then, so write it again before the next run. */
uint8_t *${name}_input(void);
int ${name}_run($logit logits[$classes]);

/* Memory of one run. With your own, calls may overlap; -DKILONET_NO_STATIC omits the static one. */
typedef struct {
    uint8_t arena[$arena_size];
    uint8_t next[$steps]; /* row of each step */
    $logit *logits;
} ${name}_context;

uint8_t *${name}_context_input(${name}_context *n);
int ${name}_context_run(${name}_context *n, $logit logits[$classes]);
