"""The page on exports: what was measured of them, and its text."""
