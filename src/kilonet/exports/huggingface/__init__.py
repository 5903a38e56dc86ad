"""A trained network as a folder of the kind that the Hugging Face hub holds."""
