"""Studies: many runs of a grid or a search, on this machine or a cluster, and their statistics."""
