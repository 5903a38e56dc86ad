"""Muon: momentum whose update is made orthogonal, for the weights between first and last layer.

Keller Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024). A gradient
of a weight matrix is dominated by a few directions. Muon replaces its singular values by about 1,
so that rare directions count as much; small networks then need fewer steps. Everything that is not
a hidden matrix (first and last layer, depthwise filters, batch norm, biases) gets AdamW, as the
authors advise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.adamw import adamw

# The coefficients of the iteration that drives singular values to 1, and the iterations (ibid.).
_QUINTIC = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_BETAS = (0.9, 0.99)


class Muon(Optimizer):
    """Muon for ``hidden`` weights (of two or more dimensions), AdamW for ``others``.

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
    the singular values into 0.7 … 1.2 instead of to exactly 1, which does as well (ibid.).
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
