"""Export a network as a Hugging Face folder: configuration, weights and model card."""
