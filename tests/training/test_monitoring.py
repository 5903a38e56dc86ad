"""The running figures of an epoch."""

from __future__ import annotations

import pytest
import torch

from kilonet.errors import TrainingError
from kilonet.training import monitoring
from kilonet.training.distributed import ProcessGroup
from kilonet.training.monitoring import RunningMetrics

CPU = torch.device("cpu")


def test_mean_over_images_not_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [10.0]
    monkeypatch.setattr(monitoring.time, "perf_counter", lambda: now[0])
    running = RunningMetrics(CPU, ProcessGroup())
    running.add(torch.tensor(1.0), torch.eye(3), torch.tensor([0, 1, 2]))
    running.add(torch.tensor(5.0), torch.eye(3)[:1], torch.tensor([2]))
    now[0] = 12.0
    assert running.read(1) == (4, 2.0, 0.75, 2.0)


def test_due_four_times_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(monitoring.time, "perf_counter", lambda: now[0])
    running = RunningMetrics(CPU, ProcessGroup())
    running.add(torch.tensor(1.0), torch.eye(2), torch.tensor([0, 1]))
    due = []
    for now[0] in (0.1, 0.25, 0.3, 0.5):
        due.append(running.is_due())
        if due[-1]:
            running.read(1)
    assert due == [False, True, False, True]


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), float("-inf")])
def test_a_loss_that_is_no_number(loss: float) -> None:
    running = RunningMetrics(CPU, ProcessGroup())
    running.add(torch.tensor(1.0), torch.eye(2), torch.tensor([0, 1]))
    running.add(torch.tensor(loss), torch.eye(2), torch.tensor([0, 1]))
    running.add(torch.tensor(1.0), torch.eye(2), torch.tensor([0, 1]))
    with pytest.raises(
        TrainingError, match=r"The loss is no longer finite in epoch 7: .*optimizer"
    ):
        running.read(7)
