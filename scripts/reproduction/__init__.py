"""The pages' claims beside the stored measurements: what ``scripts/make_docs.py`` is made of."""
