"""The pages under docs/reference/ that are generated: recipe keys and commands."""
