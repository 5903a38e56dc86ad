"""Constraints from the command line's flags."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from kilonet.errors import UsageError
from kilonet.recipe.explain import expected
from kilonet.recipe.schema import Constraints

_FLAGS = {"required_layers": "require-layer"}


def parse_constraints(given: dict[str, Any]) -> Constraints:
    """Return the constraints in ``given``, leaving out those that are None.

    Raises:
        UsageError: a value is out of range, or a layer unknown; the message names the flag.
    """
    wanted = {key: value for key, value in given.items() if value is not None}
    try:
        return Constraints.model_validate(wanted)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        flag = _FLAGS.get(key, key.replace("_", "-"))
        meaning = Constraints.model_fields[key].description
        raise UsageError(f"--{flag} {expected(first)}, not {first['input']}. {meaning}") from None
