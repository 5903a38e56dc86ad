${definitions}$constants
$arena
$kernels
int ${name}_predict(const uint8_t image[$pixels], $logit logits[$classes])
{
$body

    return largest_of(logits);
}
