"""The HTTP service: pictures in, predictions out. Worker processes decode the pictures."""
