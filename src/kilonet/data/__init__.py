"""Data sets in memory: found or fetched, verified, split, batched, augmented, normalised."""
