"""Damaged files of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kilonet.errors import RunError
from kilonet.evaluation.metrics import Metrics
from kilonet.runs.layout import StoredMetrics, checked, read_history, read_json, read_text
from trained import figures, history_row

PATH = Path("metrics.json")


@pytest.mark.parametrize(
    ("keys", "value", "text"),
    [
        (("parameters",), "many", "parameters: "),
        (("epochs",), 1.5, "epochs: "),
        (("layers",), "dropout", "layers: "),
        (("test",), None, "test: "),
        (("test", "accuracy"), "95 %", "test.accuracy: "),
        (("test", "accuracy"), 95, "test.accuracy: "),
        (("test", "total"), 0, "test.total: "),
        (("test", "per_class"), [{"name": "0"}], "test.per_class.0.precision: "),
        (("test", "confusion"), [["a"]], "test.confusion.0.0: "),
    ],
)
def test_damaged_metrics_are_named(keys: tuple[str, ...], value: Any, text: str) -> None:
    content = inner = figures(0.95, 20_000, 2)
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    with pytest.raises(RunError) as caught:
        checked(content, StoredMetrics, PATH)
    assert str(caught.value).startswith(f"metrics.json is damaged: {text}")


def test_stored_metrics_are_metrics() -> None:
    """``Metrics`` reads what passes this check, and writes what passes it."""
    content = checked(figures(0.95, 20_000, 2), StoredMetrics, PATH)
    metrics = Metrics.from_json(content["test"])
    assert checked({**content, "test": metrics.to_json()}, StoredMetrics, PATH) == content


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
KEYS = st.sampled_from([*figures(0.95, 1, 1)])


@given(st.dictionaries(KEYS, JSON, max_size=3))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_content_is_metrics_or_one_error(changes: dict[str, Any]) -> None:
    content = {**figures(0.95, 20_000, 2), **changes}
    try:
        found = checked(content, StoredMetrics, PATH)
    except RunError as error:
        assert "\n" not in str(error)
    else:
        Metrics.from_json(found["test"])


@pytest.mark.parametrize(
    "content",
    [
        "epoch,train_loss\n1,abc\n",
        "epoch,train_loss\n1\n",
        "epoch,train_loss\n1,2,3\n",
        'epoch,train_loss\n1,"2\n',
        "epoch,train_loss\n2,0.5\n",
        "epoch,train_loss\n1,0.5\n1,0.5\n",
        "train_loss\n0.5\n",
        "",
        "{",
        "epoch\n1\n\0\n",
        "epoch\n" + "9" * 200_000 + "\n",
    ],
)
def test_damaged_histories(tmp_path: Path, content: str) -> None:
    path = tmp_path / "history.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(RunError, match=r"history\.csv is damaged"):
        read_history(path)


def test_a_history(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text("epoch,train_loss\n1,0.5\n2,0.25\n", encoding="utf-8")
    assert read_history(path) == [
        {"epoch": 1, "train_loss": 0.5},
        {"epoch": 2, "train_loss": 0.25},
    ]
    assert "epoch" in history_row(1)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_history_or_one_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "history.csv"
    path.write_bytes(content)
    try:
        rows = read_history(path)
    except RunError as error:
        assert str(path) in str(error)
    else:
        assert [row["epoch"] for row in rows] == list(range(1, len(rows) + 1))


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is missing"):
        read_text(tmp_path / "nope")
    with pytest.raises(RunError, match="cannot be read: Is a directory"):
        read_text(tmp_path)
    (tmp_path / "list.json").write_text("[]", encoding="utf-8")
    with pytest.raises(RunError, match="is not a JSON object"):
        read_json(tmp_path / "list.json")
