"""A network as C99: one header and one source, without dynamic memory allocation."""
