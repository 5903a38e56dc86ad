"""The HTTP service: pictures in, digits out, in processes that no picture can take down."""
