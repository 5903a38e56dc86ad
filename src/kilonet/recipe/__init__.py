"""Recipes: schema, loading, validation, and the shipped ones. No torch here.

``load`` loads and validates recipes, ``validation_messages`` words the errors, ``schema`` and
``families`` define the keys, ``layer_spec`` parses layers, ``catalog`` lists the shipped recipes,
``fingerprint`` writes a recipe and computes its fingerprint.
"""
