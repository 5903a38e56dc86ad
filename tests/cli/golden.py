"""Compare printed tables with golden files.

``KILONET_REGENERATE_GOLDEN=1 pytest tests/cli`` rewrites the files; review the difference before
you commit it.
"""

from __future__ import annotations

import os
from pathlib import Path

GOLDEN = Path(__file__).parent / "golden"


def assert_golden(name: str, text: str) -> None:
    """Compare ``text`` with the file ``golden/NAME.txt``."""
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("KILONET_REGENERATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
