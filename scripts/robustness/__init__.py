"""The page on robustness: what was measured of recipes, as tables."""
