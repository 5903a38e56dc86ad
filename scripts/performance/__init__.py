"""What ``docs/performance.md`` is made of."""
