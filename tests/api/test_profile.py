"""Where the time went: the table, and that its figures are those of the training."""

from __future__ import annotations

import io

from rich.console import Console

from kilonet.api.profile import Profile

TABLE = """
phase    seconds      %
data        1.00    4.0
forward    20.00   80.0
rest        4.00   16.0
all        25.00  100.0

training: 2,000 images/s
arithmetic alone, float32: 6,944 images/s (24 MFLOP an image, 167 GFLOP/s with 2 threads); \
training takes 3.47 times as long
arithmetic alone, bfloat16: 12,500 images/s (24 MFLOP an image, 300 GFLOP/s with 2 threads); \
training takes 6.25 times as long
"""


def test_table() -> None:
    measured = Profile(
        seconds={"data": 1.0, "forward": 20.0, "rest": 4.0},
        images_per_second=2000.0,
        flops=24_000_000,
        limits={"float32": 166.66e9, "bfloat16": 300e9},
        forces="2 threads",
    )
    console = Console(file=io.StringIO(), width=60)
    console.print(measured.rendered(), soft_wrap=True)
    assert console.file.getvalue() == TABLE
