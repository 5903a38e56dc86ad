"""Data sets: registry, download, loading, folders of pictures, splits, augmentation, batches."""
