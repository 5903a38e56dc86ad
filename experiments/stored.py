"""The files in results/ that ``run.py`` writes: one entry for each training, added under a lock."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

from kilonet.files import write_text

Content = dict[str, Any]
Key = tuple[str, int]  # fingerprint of the recipe, seed


def read(path: Path) -> Content:
    """Return the content of a results file; empty if there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _update(path: Path, changed: Callable[[Content], Content], text: Callable[[Any], str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.parent / f".{path.name}.lock"):
        write_text(path, text(changed(read(path))))


def _indented(content: Content) -> str:
    return json.dumps(content, indent=1) + "\n"


def _key(entry: Content) -> Key:
    return entry["fingerprint"], entry["seed"]


def has_run(path: Path, key: Key) -> bool:
    """Return whether ``results/LABEL.json`` has this seed of this recipe."""
    content = read(path)
    seeds = [run["seed"] for run in content.get("runs", [])]
    return content.get("fingerprint") == key[0] and key[1] in seeds


def add_run(path: Path, head: Content, entry: Content) -> None:
    """Add a run to ``results/LABEL.json``; runs of another recipe are removed."""

    def changed(content: Content) -> Content:
        runs = content["runs"] if content.get("fingerprint") == head["fingerprint"] else []
        kept = [run for run in runs if run["seed"] != entry["seed"]]
        return {**head, "runs": sorted([*kept, entry], key=lambda run: int(run["seed"]))}

    _update(path, changed, _indented)


def has_trial(path: Path, name: str, key: Key) -> bool:
    """Return whether ``results/frontier-search.json`` has this trial of this recipe and seed."""
    return any((e["name"], *_key(e)) == (name, *key) for e in read(path).get("trials", []))


def add_trial(path: Path, entry: Content) -> None:
    """Add a trial to ``results/frontier-search.json``, in place of one of that name and seed."""

    def changed(content: Content) -> Content:
        same = (entry["name"], entry["seed"])
        kept = [e for e in content.get("trials", []) if (e["name"], e["seed"]) != same]
        return {"trials": sorted([*kept, entry], key=lambda e: (e["name"], e["seed"]))}

    _update(path, changed, _indented)


SECTIONS = ("trials", "runs", "failures")  # of results/findings/ID.json


def add_finding(path: Path, section: str, entry: Content) -> None:
    """Add an entry to a section of ``results/findings/ID.json``."""

    def changed(content: Content) -> Content:
        content = {name: content.get(name, []) for name in SECTIONS}
        kept = [each for each in content[section] if _key(each) != _key(entry)]
        return {**content, section: sorted([*kept, entry], key=_key)}

    _update(path, changed, _one_entry_per_line)


def find_or_copy_finding(path: Path, sections: Sequence[str], key: Key) -> bool:
    """Return whether a question has an entry; copy it if the file of another question has it."""
    for each in [path, *sorted(path.parent.glob("*.json"))]:
        content = read(each)
        for section in sections:
            for entry in content.get(section, []):
                if _key(entry) == key:
                    if each != path:
                        add_finding(path, section, entry)
                    return True
    return False


def _one_entry_per_line(content: Content) -> str:
    parts = []
    for section, entries in content.items():
        lines = [json.dumps(entry, ensure_ascii=False) for entry in entries]
        parts.append(f' "{section}": [' + ",".join(f"\n  {line}" for line in lines) + "\n ]")
    return "{\n" + ",\n".join(parts) + "\n}\n"
