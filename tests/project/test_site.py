"""The documentation as a site: it builds without a warning, and fetches nothing to be read."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.check
ROOT = Path(__file__).resolve().parents[2]
MKDOCS = Path(sys.executable).with_name("mkdocs")
FETCHED = re.compile(
    r'<(?:script|img|iframe|source)[^>]* src="(?:https?:)?//|<link [^>]*href="http'
)


def build(target: Path, config: Path = ROOT / "mkdocs.yml") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [MKDOCS, "build", "--strict", "--config-file", config, "--site-dir", target],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_builds_and_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    """Strictly: a link or an anchor that leads nowhere is a warning, and so ends the build."""
    done = build(tmp_path / "site")
    assert done.returncode == 0, done.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        assert not FETCHED.search(page.read_text(encoding="utf-8")), page
    python = (tmp_path / "site" / "reference" / "python.html").read_text(encoding="utf-8")
    for name in ("Classifier", "save_pretrained", "train"):
        assert re.search(rf'id="kilonet\.workflows\.\w+\.{name}"', python)


@pytest.mark.parametrize("link", ["none.md", "other.md#nowhere", "#nowhere"])
def test_a_link_that_leads_nowhere_ends_the_build(tmp_path: Path, link: str) -> None:
    """With the validation of our own configuration."""
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    validation = text[text.index("validation:") :]
    config = tmp_path / "mkdocs.yml"
    config.write_text(f"site_name: x\nplugins: []\n{validation}", encoding="utf-8")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text(f"# A\n\n[b]({link})\n", encoding="utf-8")
    (tmp_path / "docs" / "other.md").write_text("# B\n", encoding="utf-8")
    done = build(tmp_path / "site", config)
    assert done.returncode == 1
    assert link.rpartition("#")[2] in done.stderr
