"""What a run says of the images that it was trained on."""

from __future__ import annotations

from kilonet.data.registry import spec
from kilonet.data.traits import Traits
from kilonet.runs import layout
from kilonet.runs.directory import RunDirectory


def traits_of_run(run: RunDirectory) -> Traits:
    """Return what is known of the data that ``run`` was trained on; that is not looked for."""
    stored = run.facts.get(layout.DATA)
    if stored is not None:
        return Traits.from_json(stored)
    return Traits.of_published(spec(run.recipe().data.name))
