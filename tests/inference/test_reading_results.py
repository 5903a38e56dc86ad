"""How a reading is written down."""

from __future__ import annotations

from kilonet.inference.results import Reading, Table

SURE = Reading("7", 0.98765432, "1", 0.01, unsure=False)
UNSURE = Reading("7", 0.4, "1", 0.3, unsure=True)


def test_rows() -> None:
    table = Table("0123456789")
    assert [table.heading(), table.row(SURE, "a.png"), table.row(UNSURE, "b.png")] == [
        "digit       confidence  runner-up  confidence  picture",
        "7               98.77%          1       1.00%  a.png",
        "unsure (7)      40.00%          1      30.00%  b.png",
    ]


def test_rows_of_other_things_than_digits_have_room_for_their_names() -> None:
    table = Table(("ankle boot", "bag"))
    unsure = Reading("bag", 0.6, "ankle boot", 0.4, unsure=True)
    assert [table.heading(), table.row(unsure, "a.png")] == [
        "class                confidence   runner-up  confidence  picture",
        "unsure (bag)             60.00%  ankle boot      40.00%  a.png",
    ]


def test_json() -> None:
    assert SURE.to_json() == {
        "digit": "7",
        "confidence": 0.987654,
        "runner_up": "1",
        "runner_up_confidence": 0.01,
        "unsure": False,
    }
