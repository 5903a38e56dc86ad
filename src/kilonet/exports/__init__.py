"""Export a trained network to formats that need no PyTorch to run."""
