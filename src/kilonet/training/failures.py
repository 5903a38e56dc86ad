"""What goes wrong inside a step of training, as one message instead of a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from kilonet.errors import KilonetError, TrainingError


@contextmanager
def explained(epoch: int) -> Iterator[None]:
    """Turn what the network (it may be the user's own) or its device raises into an error of ours.

    Raises:
        TrainingError: something other than a ``KilonetError`` was raised; it is the cause.
    """
    try:
        yield
    except KilonetError:
        raise
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            f"The device ran out of memory in epoch {epoch}. "
            "Use smaller batches (training.batch_size=...) or a smaller network."
        ) from error
    except Exception as error:
        lines = str(error).splitlines() or [""]
        raise TrainingError(
            f"A step of epoch {epoch} failed: {type(error).__name__}: {lines[0].rstrip('.')}. "
            "Does the network take the images' shape and return a logit for each class?"
        ) from error
