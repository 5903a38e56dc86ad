"""From the published files of a data set to tensors, each file verified."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from kilonet.data.cifar import Bytes, images_of, read_records
from kilonet.data.idx import read_idx_images, read_idx_labels
from kilonet.data.locate import Files
from kilonet.data.specs import DatasetSpec
from kilonet.data.verify import check_bytes, check_count, check_published

Tensors: TypeAlias = tuple[Tensor, Tensor, Tensor, Tensor]
"""Training images, training labels, test images, test labels."""


def read_files(entry: DatasetSpec, files: Files) -> Tensors:
    """Return images, uint8 (N, C, H, W), and labels, int64 (N,), of both parts.

    Raises ``DataError`` where a file is damaged or not the published one.
    """
    read = _read_batches if entry.layout == "cifar" else _read_idx
    return *_tensors(*read(entry, files, "train")), *_tensors(*read(entry, files, "test"))


def _tensors(images: Bytes, labels: Bytes) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(images), torch.from_numpy(labels).long()


def _read_idx(entry: DatasetSpec, files: Files, part: str) -> tuple[Bytes, Bytes]:
    images_role, labels_role = f"{part}_images", f"{part}_labels"
    images = read_idx_images(files[images_role])
    check_published(files[images_role], images, entry, images_role)
    labels = read_idx_labels(files[labels_role], len(entry.classes))
    check_published(files[labels_role], labels, entry, labels_role)
    if entry.layout == "transposed":
        images = np.ascontiguousarray(images.swapaxes(1, 2))
    return images[:, None], labels


def _read_batches(entry: DatasetSpec, files: Files, part: str) -> tuple[Bytes, Bytes]:
    batches = []
    for role in (role for role in files if role.startswith(part)):
        batches.append(read_records(files[role], entry.shape, len(entry.classes)))
        check_bytes(files[role], batches[-1].tobytes(), entry, role)
    records = np.concatenate(batches)
    check_count(next(iter(files.values())), len(records), entry, part)
    return images_of(records, entry.shape), records[:, 0].copy()
