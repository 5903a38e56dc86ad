"""Where the time goes: by a clock of the test's own, and of a real training nearly all of it."""

from __future__ import annotations

import time

import pytest
import torch
from trials import fit

from kilonet.progress import Silent
from kilonet.training import phases
from kilonet.training.phases import PHASES, Phases

CPU = torch.device("cpu")


def test_seconds_add_up_by_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(phases.time, "perf_counter", lambda: now[0])
    watch = Phases(CPU)
    for phase, seconds in (("forward", 2.0), ("backward", 3.0), ("forward", 0.5)):
        with watch(phase):
            now[0] += seconds
        now[0] += 10
    expected = dict.fromkeys(PHASES, 0.0) | {"forward": 2.5, "backward": 3.0}
    assert watch.seconds == expected


@pytest.mark.parametrize(("wait", "waits"), [(False, 0), (True, 2)])
def test_a_gpu_is_waited_for_only_if_asked(
    wait: bool, waits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    device = torch.device("cuda", 1)
    for watch in (Phases(device, wait=wait), Phases(CPU, wait=wait)):
        for phase in ("forward", "backward"):
            with watch(phase):
                pass
    assert waited == [device] * waits


def test_the_phases_of_a_training() -> None:
    running = fit("model.layers=c32 c32 p2 c32", "training.epochs=1", "training.ema=0.9")
    began = time.perf_counter()
    running.run(lambda _: None, Silent())
    whole = time.perf_counter() - began
    seconds = running.phases.seconds
    assert all(seconds[name] > 0 for name in PHASES)
    assert 0.6 * whole < sum(seconds.values()) <= whole
    assert max(seconds, key=lambda name: seconds[name]) in ("forward", "backward")
