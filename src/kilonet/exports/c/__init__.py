"""A network as C99: one header, one source, no allocation."""
