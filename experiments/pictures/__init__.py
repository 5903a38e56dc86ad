"""Made pictures of digits: what the preparation is developed on and what holds it together."""
