"""A run's directory: layout, lock, listing, what it ran on and what it must satisfy."""
