"""The fast dropout: its rate, its independence, its gradient, and when it steps aside."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn
from torch.nn import functional as F

from kilonet.models import dropout
from kilonet.models.dropout import Dropout

SIGNIFICANCE = 1e-3  # the draws are seeded: a test that passes once passes always


def kept(p: float, shape: tuple[int, ...], seed: int = 0) -> Tensor:
    """Return where a seeded dropout of ones kept them, as booleans."""
    torch.manual_seed(seed)
    return Dropout(p).train()(torch.ones(shape)) != 0


@pytest.mark.parametrize("p", [0.0001, 0.05, 0.1, 0.25, 0.5, 0.9, 0.999])
def test_drops_at_its_rate(p: float) -> None:
    mask = kept(p, (1000, 1000))
    dropped = int((~mask).sum())
    assert stats.binomtest(dropped, mask.numel(), round(p * 65536) / 65536).pvalue > SIGNIFICANCE


@pytest.mark.parametrize("levels", [1, 2, 32768, 65535])
def test_threshold_is_exact_for_every_level(levels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    every_draw = torch.arange(-32768, 32768, dtype=torch.int16).view(torch.int64)
    monkeypatch.setattr(dropout, "_random_int64", lambda count: every_draw[:count].clone())
    kept = dropout._flat_kept(65536, levels)
    assert kept.sum() == 65536 - levels
    assert kept.unique().tolist() == [0, 1]


@pytest.mark.parametrize("p", [0.05, 0.1, 0.5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_expectation_is_the_input(p: float, dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    count = 2_000_000
    mean = Dropout(p)(torch.ones(count, dtype=dtype)).double().mean().item()
    rounding = {torch.bfloat16: 2.0**-8, torch.float16: 2.0**-11}.get(dtype, 0.0)
    standard_error = (p / (1 - p) / count) ** 0.5
    assert abs(mean - 1) < 4 * standard_error + rounding


def test_half_precision_is_rounded_once() -> None:
    x = torch.randn(1000).bfloat16()
    torch.manual_seed(2)
    y = Dropout(0.05)(x)
    scale = 65536 / (65536 - round(0.05 * 65536))
    assert y.dtype == torch.bfloat16
    assert torch.equal(y[y != 0], (x.float() * scale).bfloat16()[y != 0])


def test_the_scale_uses_the_realised_rate() -> None:
    y = Dropout(1.4 / 65536)(torch.ones(100, dtype=torch.float64))
    assert y.max().item() == 65536 / 65535


@pytest.mark.parametrize("lag", [1, 2, 3, 4, 5, 8, 28, 784])
@pytest.mark.parametrize("p", [0.05, 0.5])
def test_neighbouring_elements_are_independent(p: float, lag: int) -> None:
    mask = kept(p, (2_000_000,), seed=3).numpy()
    assert _independence(mask[:-lag], mask[lag:]) > SIGNIFICANCE


@pytest.mark.parametrize("p", [0.05, 0.5])
def test_steps_are_independent(p: float) -> None:
    torch.manual_seed(4)
    layer = Dropout(p)
    steps = [(layer(torch.ones(400_001)) != 0).numpy() for _ in range(4)]
    for before, after in pairwise(steps):
        assert _independence(before, after) > SIGNIFICANCE


def test_every_position_is_dropped_as_often() -> None:
    """Also the four elements that share a 64-bit word, and the last ones of an odd count."""
    torch.manual_seed(5)
    repetitions, p = 4000, 0.25
    layer = Dropout(p)
    dropped = sum((layer(torch.ones(63)) == 0).numpy().astype(int) for _ in range(repetitions))
    z = (dropped - repetitions * p) / (repetitions * p * (1 - p)) ** 0.5
    assert stats.chi2.sf((z**2).sum(), df=63) > SIGNIFICANCE


def test_the_four_elements_of_a_word_are_jointly_independent() -> None:
    patterns = kept(0.5, (500_000, 4), seed=6).numpy() @ np.array([1, 2, 4, 8])
    assert stats.chisquare(np.bincount(patterns, minlength=16)).pvalue > SIGNIFICANCE


def _independence(first: np.ndarray, second: np.ndarray) -> float:
    table = np.bincount(2 * first + second, minlength=4).reshape(2, 2)
    return float(stats.chi2_contingency(table, correction=False).pvalue)


@pytest.mark.parametrize(
    "shape", [(1,), (3,), (5,), (2, 7, 3), (3, 5, 7, 9), (0,), (0, 4, 2, 2), ()]
)
def test_any_shape(shape: tuple[int, ...]) -> None:
    y = Dropout(0.5)(torch.ones(shape))
    assert y.shape == shape
    assert set(y.unique().tolist()) <= {0.0, 2.0}


def test_layout_is_kept_and_the_mask_follows_memory() -> None:
    x = torch.ones(3, 4, 5, 6)
    torch.manual_seed(7)
    plain = Dropout(0.5)(x)
    torch.manual_seed(7)
    last = Dropout(0.5)(x.to(memory_format=torch.channels_last))
    assert plain.is_contiguous()
    assert last.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(plain.flatten(), last.permute(0, 2, 3, 1).flatten())


@pytest.mark.parametrize(
    "x",
    [
        pytest.param(torch.ones(6, 8)[:, ::2], id="strided"),
        pytest.param(torch.ones(4, 6).t(), id="transposed"),
        pytest.param(torch.ones(1).expand(50), id="expanded"),
    ],
)
def test_other_layouts_fall_back(x: Tensor) -> None:
    torch.manual_seed(8)
    expected = F.dropout(x, 0.5, True)
    torch.manual_seed(8)
    assert torch.equal(Dropout(0.5)(x), expected)


@pytest.mark.parametrize("p", [1.0, 1e-7, 1 - 1e-7])
def test_extreme_rates_fall_back(p: float) -> None:
    torch.manual_seed(9)
    expected = F.dropout(torch.ones(1000), p, True)
    torch.manual_seed(9)
    assert torch.equal(Dropout(p)(torch.ones(1000)), expected)


def test_inplace_writes_into_its_input() -> None:
    x = torch.ones(100)
    y = Dropout(0.5, inplace=True)(x)
    assert y is x
    assert set(x.unique().tolist()) == {0.0, 2.0}


def test_identity_in_evaluation_and_at_rate_zero() -> None:
    x = torch.randn(10)
    state = torch.get_rng_state()
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0).train()(x) is x
    assert torch.equal(torch.get_rng_state(), state)


def test_reproducible_from_the_seed() -> None:
    shape = (128, 16, 28, 28)
    assert torch.equal(kept(0.05, shape, seed=10), kept(0.05, shape, seed=10))
    assert not torch.equal(kept(0.05, shape, seed=10), kept(0.05, shape, seed=11))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gradient_is_mask_times_scale(layout: torch.memory_format) -> None:
    x = torch.rand(2, 3, 4, 5).add(1).to(memory_format=layout).requires_grad_()
    upstream = torch.randn_like(x)
    y = Dropout(0.3)(x)
    y.backward(upstream)
    scale = 65536 / (65536 - round(0.3 * 65536))
    assert x.grad is not None
    torch.testing.assert_close(x.grad, torch.where(y != 0, upstream * scale, 0.0))


def test_gradient_agrees_with_finite_differences() -> None:
    def seeded(x: Tensor) -> Tensor:
        torch.manual_seed(12)
        return Dropout(0.3)(x)

    assert torch.autograd.gradcheck(seeded, torch.randn(3, 7, dtype=torch.float64).requires_grad_())


def test_under_bfloat16_autocast() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), Dropout(0.5)).to(memory_format=torch.channels_last)
    x = torch.randn(2, 1, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        y = network(x)
    y.float().sum().backward()
    assert y.dtype == torch.bfloat16
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_is_a_dropout_without_state() -> None:
    layer = Dropout(0.05)
    assert isinstance(layer, nn.Dropout)
    assert not layer.state_dict()
    assert repr(layer) == "Dropout(p=0.05, inplace=False)"


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of the exporter, about itself
def test_leaves_no_trace_in_onnx() -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    network = nn.Sequential(nn.Linear(3, 2), Dropout(0.5)).eval()
    buffer = io.BytesIO()
    torch.onnx.export(network, (torch.zeros(1, 3),), buffer, dynamo=True, verbose=False)
    graph = onnx.load_from_string(buffer.getvalue()).graph
    assert {node.op_type for node in graph.node} <= {"Gemm", "MatMul", "Add", "Transpose"}


def test_no_copies_between_layouts() -> None:
    """The multiplications, forward and backward, get and give channels-last tensors only."""
    x = torch.randn(4, 16, 8, 8).to(memory_format=torch.channels_last).requires_grad_()
    upstream = torch.randn_like(x)
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(
        activities=activities, record_shapes=True, acc_events=True
    ) as profile:
        Dropout(0.05)(x).backward(upstream)
    shapes = [list(x.shape), [x.numel()]]
    whole = [e for e in profile.events() if any(s in shapes for s in e.input_shapes)]
    names = [event.name for event in whole]
    assert names.count("aten::copy_") == 1  # 16-bit draws to float32, nothing else
    assert names.count("aten::mul") == 2
    assert not {"aten::contiguous", "aten::clone"} & set(names)


def test_cheaper_than_the_usual_dropout(one_thread: None) -> None:
    """About a third of the processor's time; more where others use its caches."""
    x = torch.randn(128, 16, 28, 28).to(memory_format=torch.channels_last).requires_grad_()
    upstream = torch.randn_like(x)
    fast, usual = Dropout(0.05), nn.Dropout(0.05)
    pairs = [(_seconds(fast, x, upstream), _seconds(usual, x, upstream)) for _ in range(15)]
    ours, theirs = (min(column) for column in zip(*pairs, strict=True))
    assert ours < 0.6 * theirs


@pytest.fixture
def one_thread() -> Iterator[None]:
    """PyTorch on one thread: otherwise a busy second core decides the ratio."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _seconds(layer: Callable[[Tensor], Tensor], x: Tensor, upstream: Tensor) -> float:
    x.grad = None
    start = time.thread_time()
    layer(x).backward(upstream)
    return time.thread_time() - start
