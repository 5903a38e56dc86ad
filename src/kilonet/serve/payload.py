"""What a request asks to be read: its body, by its media type, to pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kilonet.serve import json_body
from kilonet.serve.parts import files
from kilonet.serve.problems import Problem
from kilonet.serve.wire import Picture, Refusal

FILES = (
    "application/octet-stream",
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "image/bmp",
    "image/tiff",
    "image/x-portable-anymap",
    "image/x-portable-graymap",
    "image/x-portable-bitmap",
    "image/x-portable-pixmap",
)
FORM, JSON = "multipart/form-data", "application/json"
ONE_FIELD, MANY_FIELD = "picture", "pictures"


@dataclass(frozen=True)
class Payload:
    """The pictures of a request, each as it came or why it did not; ``single`` if not in a list."""

    pictures: list[Picture | Refusal]
    single: bool


def payload(body: bytes, content_type: str, most: int) -> Payload:
    """Return the pictures in a body of ``content_type``.

    Raises:
        Problem: no such type is read (415), or the body is not what its type says.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == JSON:
        return Payload(*json_body.pictures_of(body, most))
    if kind == FORM:
        return _of_form(body, content_type, most)
    if kind in FILES:
        return Payload([Picture("file", body)], single=True)
    said = f'"{kind[:60]}" is not read' if kind else "The request has no Content-Type"
    raise Problem(
        415,
        f"{said}. Send a picture as it is (Content-Type: image/png, image/jpeg, …, or "
        f"{FILES[0]}), a form with files ({FORM}), or {JSON}.",
        headers={"accept": ", ".join((*FILES, FORM, JSON))},
    )


def _of_form(body: bytes, content_type: str, most: int) -> Payload:
    found = files(body, content_type, most)
    if not found:
        raise Problem(
            422,
            f'The form has no file. Send one as the field "{ONE_FIELD}", or several as '
            f'"{MANY_FIELD}" (curl -F {ONE_FIELD}=@FILE).',
        )
    single = len(found) == 1 and found[0].name != MANY_FIELD
    return Payload([Picture("file", part.content) for part in found], single)


def documented() -> dict[str, Any]:
    """Return the request body as OpenAPI describes it."""
    binary = {"schema": {"type": "string", "contentMediaType": FILES[0]}}
    form = {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": False,
        "properties": {
            ONE_FIELD: binary["schema"],
            MANY_FIELD: {"type": "array", "minItems": 1, "items": binary["schema"]},
        },
    }
    shapes = [model.model_json_schema() for model in json_body.BODIES.values()]
    content = {
        JSON: {"schema": {"oneOf": shapes}},
        FORM: {"schema": form},
        **dict.fromkeys(FILES, binary),
    }
    return {"requestBody": {"required": True, "content": content}}
