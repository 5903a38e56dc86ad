"""Keras 3: arrays in memory through ``Model.fit``, on the backend that it is given."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from benchmarks.contestants import task
from benchmarks.contestants.meter import AfterStep
from benchmarks.contestants.mnist import training_arrays


def train(
    after_step: AfterStep,
    data: str,
    epochs: int,
    batch_size: int,
    backend: str,
    jit_compile: bool | str = "auto",
) -> None:
    """Fit on ``backend``: "tensorflow", "jax" or "torch".

    ``jit_compile`` is passed to ``Model.compile``.
    """
    os.environ["KERAS_BACKEND"] = backend
    import keras

    model = network()
    task.require_same_size(sum(int(np.prod(w.shape)) for w in model.trainable_weights))
    steps = task.steps_in(epochs, batch_size)
    warmup_steps = round(task.WARMUP * steps)
    schedule = keras.optimizers.schedules.CosineDecay(
        task.PEAK_RATE / task.START,
        decay_steps=steps - warmup_steps,
        warmup_target=task.PEAK_RATE,
        warmup_steps=warmup_steps,
    )
    model.compile(
        optimizer=keras.optimizers.SGD(schedule, momentum=task.MOMENTUM),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=jit_compile,
    )
    pixels, labels = training_arrays(data)
    images = ((pixels[..., None] / 255 - task.MEAN) / task.STD).astype(np.float32)
    model.fit(
        images,
        labels.astype(np.int32),
        batch_size=batch_size,
        epochs=epochs,
        verbose=0,
        callbacks=[_report(after_step, batch_size)],
    )


def network() -> Any:
    """Return the network in Keras's own layers, with PyTorch's batch-norm settings."""
    import keras
    from keras import layers

    def block(channels: int, kernel: int) -> list[Any]:
        return [
            layers.Conv2D(channels, kernel, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            layers.ReLU(),
            layers.Dropout(task.DROPOUT),
        ]

    first = [*block(16, 3), *block(16, 3), layers.MaxPooling2D(), *block(12, 1)]
    second = [*block(28, 3), *block(28, 3), layers.MaxPooling2D(), *block(32, 1)]
    head = [layers.GlobalAveragePooling2D(), layers.Dense(10)]
    return keras.Sequential([keras.Input((28, 28, 1)), *first, *second, *head])


def _report(after_step: AfterStep, batch_size: int) -> Any:
    import keras

    class Report(keras.callbacks.Callback):  # type: ignore[misc, unused-ignore]
        """Reports each step to the meter; reading the loss waits until the device is done."""

        def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
            images = min(batch_size, task.IMAGES - batch * batch_size)
            after_step(images, lambda: float((logs or {})["loss"]))

    return Report()
