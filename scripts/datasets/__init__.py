"""The page on data sets: what is known of each, and what the audit of MNIST found."""
