"""A run's directory: layout, format version, lock, listing, what it ran on, what it must satisfy."""
