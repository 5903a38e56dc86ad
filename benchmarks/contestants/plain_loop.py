"""MNIST as tutorials train it: a Dataset of PIL images, transforms per sample, a DataLoader.

python plain_loop.py FOLDER [--epochs 15] [--batch-size 256] [--workers 1] [--seed 0]
"""

import argparse
import gzip
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Digits(Dataset[tuple[torch.Tensor, int]]):
    def __init__(self, folder: str, part: str) -> None:
        images = gzip.decompress(Path(folder, f"{part}-images-idx3-ubyte.gz").read_bytes())
        labels = gzip.decompress(Path(folder, f"{part}-labels-idx1-ubyte.gz").read_bytes())
        self.images = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28)
        self.labels = np.frombuffer(labels, np.uint8, offset=8)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        picture = Image.fromarray(self.images[index])
        pixels = torch.from_numpy(np.array(picture))[None].float().div(255)
        return (pixels - 0.1307) / 0.3081, int(self.labels[index])


def block(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    return [conv, nn.BatchNorm2d(outputs), nn.ReLU(), nn.Dropout(0.05)]


def network() -> nn.Sequential:
    first = [*block(1, 16, 3), *block(16, 16, 3), nn.MaxPool2d(2), *block(16, 12, 1)]
    second = [*block(12, 28, 3), *block(28, 28, 3), nn.MaxPool2d(2), *block(28, 32, 1)]
    model = nn.Sequential(*first, *second, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))
    assert sum(parameter.numel() for parameter in model.parameters()) == 14_210
    return model


def train(
    after_step: Callable[[int], object], data: str, epochs: int, batch_size: int, workers: int
) -> nn.Module:
    loader = DataLoader(Digits(data, "train"), batch_size, shuffle=True, num_workers=workers)
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.2, epochs=epochs, steps_per_epoch=len(loader), cycle_momentum=False
    )
    for _ in range(epochs):
        for images, labels in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            after_step(len(labels))
    return model.eval()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    for option, default in {"epochs": 15, "batch-size": 256, "workers": 1, "seed": 0}.items():
        parser.add_argument(f"--{option}", type=int, default=default)
    given, began = vars(parser.parse_args()), time.perf_counter()
    torch.manual_seed(given.pop("seed"))
    trained = train(lambda _: None, **given)
    print(f"trained in {time.perf_counter() - began:.2f} s")  # noqa: T201
    test = DataLoader(Digits(given["data"], "t10k"), 1000)
    with torch.no_grad():
        correct = torch.cat([trained(images).argmax(1) == labels for images, labels in test])
    print(f"test accuracy {correct.float().mean():.4f}")  # noqa: T201
