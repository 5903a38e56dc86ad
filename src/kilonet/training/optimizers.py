"""Optimizers by name, Muon among them, and the moving average of the weights that they train."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn, optim
from torch.optim import Optimizer
from torch.optim.adamw import adamw
from torch.optim.swa_utils import AveragedModel

from kilonet.errors import RecipeError
from kilonet.recipe import schema as recipe

# The coefficients of the iteration that drives singular values to 1, and the number of iterations.
_QUINTIC = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_BETAS = (0.9, 0.99)


def build_optimizer(model: nn.Module, settings: recipe.Optimizer) -> optim.Optimizer:
    """Return the optimizer that ``settings`` describe, for all parameters of the model.

    Adam and AdamW have PyTorch's default betas (0.9, 0.999) and epsilon 1e-8, RMSprop its alpha
    0.99. PyTorch's fused implementations are used where they exist: in small networks the other
    ones take a twentieth of a step longer.
    """
    parameters = list(model.parameters())
    if not any(parameter.requires_grad for parameter in parameters):
        raise RecipeError(
            f"{type(model).__name__} has no parameters that training may change. "
            "Give it a layer that has some, and leave requires_grad on."
        )
    rate, decay, fused = settings.lr, settings.weight_decay, _can_be_fused(parameters)
    if isinstance(settings, recipe.AdamConfig):
        return optim.Adam(parameters, lr=rate, weight_decay=decay, fused=fused)
    if isinstance(settings, recipe.AdamWConfig):
        return optim.AdamW(parameters, lr=rate, weight_decay=decay, fused=fused)
    if isinstance(settings, recipe.SgdConfig):
        return optim.SGD(
            parameters,
            lr=rate,
            momentum=settings.momentum,
            nesterov=settings.nesterov,
            weight_decay=decay,
            fused=fused,
        )
    if isinstance(settings, recipe.MuonConfig):
        hidden, others = hidden_and_others(model)
        return Muon(
            hidden,
            others,
            lr=rate,
            momentum=settings.momentum,
            adam_lr=settings.adam_lr,
            weight_decay=decay,
        )
    return optim.RMSprop(parameters, lr=rate, momentum=settings.momentum, weight_decay=decay)


def _can_be_fused(parameters: list[nn.Parameter]) -> bool:
    return all(
        parameter.is_floating_point() and parameter.device.type in ("cpu", "cuda")
        for parameter in parameters
    )


def gradients(model: nn.Module) -> list[Tensor]:
    """Return the gradient of every trainable parameter.

    A parameter that the last step did not use gets a gradient of zero, so that all processes have
    the same list.
    """
    found = []
    for parameter in model.parameters():
        if parameter.requires_grad:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            found.append(parameter.grad)
    return found


def restore_optimizer(optimizer: optim.Optimizer, state: dict[str, Any]) -> None:
    """Restore a ``state_dict``, each moment in the memory layout of its parameter.

    A file does not keep layouts. Where a parameter and its moments have different ones, PyTorch
    computes in another order: slower, and possibly with other rounding.
    """
    optimizer.load_state_dict(state)
    for parameter, moments in optimizer.state.items():
        for name, value in moments.items():
            if name != "step" and isinstance(value, Tensor):
                if value.shape != parameter.shape:
                    raise ValueError(f"{name} of the optimizer has another shape")
                moments[name] = torch.empty_like(parameter, requires_grad=False).copy_(value)


class MovingAverage(AveragedModel):
    """An exponential moving average of a model's weights, in ``module``, a copy of the model.

    It often generalises better than the last weights (Polyak & Juditsky 1992). The decay grows
    with the number of updates, see ``decay_after``. Batch norm's running statistics are averaged
    too, so that the copy can be evaluated as it is; integer buffers are copied.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__(model, use_buffers=True)
        self._decay = decay
        # Listed once: in small networks, finding them takes longer than averaging them.
        pairs = list(zip(_tensors(self.module), _tensors(model), strict=True))
        self._averaged = [pair for pair in pairs if pair[0].is_floating_point()]
        self._copied = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        """Add the model's current weights to the average; the first call copies them."""
        updates = int(self.n_averaged)
        share = 1 - decay_after(updates, self._decay) if updates else 1.0
        averages, current = zip(*self._averaged, strict=True)
        torch._foreach_lerp_(averages, current, share)
        for copy, original in self._copied:
            copy.copy_(original)
        self.n_averaged += 1


def _tensors(model: nn.Module) -> list[Tensor]:
    return [tensor.detach() for tensor in chain(model.parameters(), model.buffers())]


def decay_after(updates: int, decay: float) -> float:
    """Return min(decay, (1 + updates) / (10 + updates)).

    With it the average forgets the random initial weights within the first epoch instead of
    keeping them for 1 / (1 − decay) steps (the rule of TensorFlow's ExponentialMovingAverage).
    """
    return min(decay, (1 + updates) / (10 + updates))


class Muon(Optimizer):
    """Muon for ``hidden`` weights (of two or more dimensions), AdamW for ``others``.

    Muon is momentum whose update is made orthogonal (Keller Jordan et al., "Muon: an optimizer for
    hidden layers in neural networks", 2024). A gradient of a weight matrix is dominated by a few
    directions. Muon replaces its singular values by about 1, so that rare directions count as much;
    small networks then need fewer steps. Everything that is not a hidden matrix (first and last
    layer, depthwise filters, batch norm, biases) gets AdamW, as the authors advise.

    ``lr`` and ``momentum`` (Nesterov's) are Muon's, ``adam_lr`` AdamW's, whose betas are 0.9 and
    0.99; ``weight_decay`` is decoupled, in both.
    """

    def __init__(
        self,
        hidden: list[nn.Parameter],
        others: list[nn.Parameter],
        *,
        lr: float,
        momentum: float,
        adam_lr: float,
        weight_decay: float,
    ) -> None:
        groups: list[dict[str, Any]] = [
            {"params": hidden, "lr": lr, "momentum": momentum, "orthogonal": True},
            {"params": others, "lr": adam_lr, "momentum": 0.0, "orthogonal": False},
        ]
        super().__init__(
            [group for group in groups if group["params"]], {"weight_decay": weight_decay}
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update all parameters that have a gradient."""
        assert closure is None
        for group in self.param_groups:
            updated = [parameter for parameter in group["params"] if parameter.grad is not None]
            if group["orthogonal"]:
                for same_shape in _by_shape(updated):
                    self._muon_step(same_shape, group)
            elif updated:
                self._adamw_step(updated, group)

    def _muon_step(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        """Update ``parameters``, which have one shape, together: each is a small matrix."""
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter] = {"momentum": torch.zeros_like(parameter)}
        gradients = _gradients(parameters)
        averages = [self.state[parameter]["momentum"] for parameter in parameters]
        torch._foreach_lerp_(averages, gradients, 1 - group["momentum"])
        ahead = torch._foreach_lerp(gradients, averages, group["momentum"])
        updates = orthogonal(torch.stack(ahead).flatten(2))
        rows, columns = updates.shape[1:]
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(
            parameters,
            [
                update.view_as(parameter)
                for update, parameter in zip(updates, parameters, strict=True)
            ],
            alpha=-group["lr"] * max(1, rows / columns) ** 0.5,
        )

    def _adamw_step(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter] = {
                    "step": torch.zeros((), device=parameter.device),
                    "first": torch.zeros_like(parameter),
                    "second": torch.zeros_like(parameter),
                }
        states = [self.state[parameter] for parameter in parameters]
        adamw(
            parameters,
            _gradients(parameters),
            [state["first"] for state in states],
            [state["second"] for state in states],
            [],
            [state["step"] for state in states],
            fused=parameters[0].device.type in ("cpu", "cuda"),
            amsgrad=False,
            beta1=_BETAS[0],
            beta2=_BETAS[1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=1e-8,
            maximize=False,
        )


def _gradients(parameters: list[Tensor]) -> list[Tensor]:
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def _by_shape(parameters: list[Tensor]) -> list[list[Tensor]]:
    """Return ``parameters`` in lists of one shape and device each."""
    found: dict[tuple[torch.Size, torch.device], list[Tensor]] = {}
    for parameter in parameters:
        found.setdefault((parameter.shape, parameter.device), []).append(parameter)
    return list(found.values())


def orthogonal(matrices: Tensor) -> Tensor:
    """Return matrices with the singular vectors of ``matrices`` and all singular values about 1.

    ``matrices`` are float, (B, M, N). Newton–Schulz iteration: five matrix polynomials that take
    the singular values into 0.7 … 1.2 instead of to exactly 1, which does as well (Jordan et al.).
    """
    a, b, c = _QUINTIC
    _, rows, columns = matrices.shape
    wide = matrices.mT if rows > columns else matrices
    x: Tensor = wide / (wide.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        gram = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.baddbmm(x, gram, x, beta=a)
    return x.mT if rows > columns else x


def hidden_and_others(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Split the parameters that training may change into what Muon is for, and the rest."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    weights = [parameter for parameter in parameters if parameter.dim() >= 2]
    between = {id(weight) for weight in weights[1:-1] if weight.size(1) > 1}
    hidden = [parameter for parameter in parameters if id(parameter) in between]
    return hidden, [parameter for parameter in parameters if id(parameter) not in between]
