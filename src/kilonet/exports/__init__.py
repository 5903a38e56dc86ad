"""A trained network in forms that need no PyTorch."""
