"""A network as one HTML page that draws, reads and shows its layers, without a server."""
