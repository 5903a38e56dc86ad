"""Constraints from the command line's flags."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from kilonet.errors import UsageError
from kilonet.recipe.schema import Constraints


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
        flag = {"required_layers": "require-layer"}.get(str(first["loc"][0]), str(first["loc"][0]))
        message = first["msg"][:1].lower() + first["msg"][1:]
        raise UsageError(f"--{flag.replace('_', '-')}: {message}, not {first['input']}.") from None
