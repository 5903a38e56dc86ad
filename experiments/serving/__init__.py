"""What measures and attacks the service."""
