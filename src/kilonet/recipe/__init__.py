"""What to train, as validated data: schema, reading, and the recipes that ship. No torch here."""

from kilonet.recipe.catalog import DEFAULT_RECIPE, copy_recipe, recipe_names
from kilonet.recipe.describe import annotated, fingerprint, plain
from kilonet.recipe.load import Resolved, parse_recipe, resolve
from kilonet.recipe.schema import Recipe

__all__ = [
    "DEFAULT_RECIPE",
    "Recipe",
    "Resolved",
    "annotated",
    "copy_recipe",
    "fingerprint",
    "parse_recipe",
    "plain",
    "recipe_names",
    "resolve",
]
