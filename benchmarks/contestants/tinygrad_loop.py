"""tinygrad: tensors in memory, random batches on the device, the whole step under TinyJit."""

from __future__ import annotations

from typing import Any

import numpy as np
from tinygrad import Tensor, TinyJit, nn
from tinygrad.helpers import Context

from benchmarks.contestants import task
from benchmarks.contestants.meter import AfterStep
from benchmarks.contestants.mnist import training_arrays


def network() -> list[Any]:
    """Return the layers, for ``Tensor.sequential``."""

    def block(inputs: int, outputs: int, kernel: int) -> list[Any]:
        conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        return [conv, nn.BatchNorm(outputs), Tensor.relu, lambda x: x.dropout(task.DROPOUT)]

    first = [*block(1, 16, 3), *block(16, 16, 3), Tensor.max_pool2d, *block(16, 12, 1)]
    second = [*block(12, 28, 3), *block(28, 28, 3), Tensor.max_pool2d, *block(28, 32, 1)]
    return [*first, *second, lambda x: x.mean((2, 3)), nn.Linear(32, 10)]


def train(after_step: AfterStep, data: str, epochs: int, batch_size: int) -> None:
    """Train as tinygrad's own MNIST example does, with this project's network and schedule."""
    pixels, digits = training_arrays(data)
    images, labels = Tensor(pixels[:, None]), Tensor(digits.astype(np.int32))
    layers = network()
    optimizer = nn.optim.SGD(nn.state.get_parameters(layers), momentum=task.MOMENTUM)
    task.require_same_size(sum(int(parameter.numel()) for parameter in optimizer.params))

    @TinyJit  # type: ignore[untyped-decorator, unused-ignore]
    def step(rate: Tensor) -> Tensor:
        indices = Tensor.randint(batch_size, high=task.IMAGES)
        inputs = (images[indices].float() / 255 - task.MEAN) / task.STD
        optimizer.zero_grad()
        optimizer.lr.assign(rate)
        loss = inputs.sequential(layers).sparse_categorical_crossentropy(labels[indices])
        loss.backward()
        return loss.realize(optimizer.lr, *optimizer.schedule_step())

    steps = task.steps_in(epochs, batch_size)
    with Context(TRAINING=1):
        for number in range(steps):
            loss = step(Tensor([task.one_cycle(number, steps)]).realize())
            after_step(batch_size, loss.item)
