"""What ``docs/studies.md`` is made of."""
