/* The plan: how often, and which steps, each of which computes its next row. */
static const KILONET_FLASH uint8_t plan[] = {
$plan
};

static void run(context *n)
{
    for (unsigned i = 0; i < sizeof n->next; i++)
        n->next[i] = 0;
    for (unsigned at = 0; at < sizeof plan; at += 2u + plan[at + 1]) {
        for (uint8_t round = 0; round < plan[at]; round++) {
            for (uint8_t i = 0; i < plan[at + 1]; i++) {
                const uint8_t number = plan[at + 2 + i];
                steps[number].compute(&steps[number], n, n->next[number]++);
            }
        }
    }
}
