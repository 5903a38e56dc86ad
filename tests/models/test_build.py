"""From a recipe to its network: the parameters that are part of the contract, and refusals."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from kilonet.errors import RecipeError
from kilonet.models.build import NETWORKS, build, check_budget
from kilonet.models.measure import count_parameters
from kilonet.recipe.catalog import recipe_names
from kilonet.recipe.load import resolve
from kilonet.training.data import augmentation_in

PARAMETERS = {
    "two-conv-fc64": 105_962,
    "two-conv-fc128": 207_018,
    "two-conv-25k": 24_042,
    "two-conv-fc12": 23_854,
    "gap-14k": 14_210,
    "gap-14k-plus": 14_210,
    "gap-iter0": 18_060,
    "gap-iter1": 20_950,
    "gap-iter2": 19_494,
    "stacked-1x1": 24_210,
    "plain-valid-adam": 23_354,
    "plain-valid-sgd": 23_354,
    "quick": 22_214,
    "short-20k": 20_538,
    "fast-99": 20_714,
    "fast-99.4": 21_482,
    "kilonet-8k": 7_479,
    "kilonet-14k": 13_715,
    "kilonet-4k": 3_923,
    "kilonet-2k": 1_868,
    "kilonet-1k": 905,
    "kilonet-0.5k": 487,
    "kilonet-25k": 23_415,
    "kilonet-25k-robust": 23_415,
    "fashion-25k": 22_855,
}
OTHER_IMAGES = [((3, 32, 32), 47), ((1, 20, 36), 2)]


@pytest.mark.parametrize(("name", "count"), PARAMETERS.items())
def test_parameters_are_those_of_the_contract(name: str, count: int) -> None:
    recipe = resolve(name).recipe
    model = build(recipe.model)
    assert count_parameters(model) == count
    assert check_budget(model, recipe, name) == count


@pytest.mark.parametrize("name", ["simple-8k", "simple-8k-plus"])
def test_the_simple_ones_stay_under_8000(name: str) -> None:
    assert count_parameters(build(resolve(name).recipe.model)) < 8_000


def test_every_shipped_recipe_has_its_figure_here() -> None:
    assert set(recipe_names()) == {*PARAMETERS, "simple-8k", "simple-8k-plus"}


@pytest.mark.parametrize(("shape", "classes"), [((1, 28, 28), 10), *OTHER_IMAGES])
@pytest.mark.parametrize(
    "name",
    [
        "two-conv-fc12",
        "gap-14k",
        "gap-iter0",
        "stacked-1x1",
        "plain-valid-adam",
        "simple-8k",
        "quick",
    ],
)
def test_learns_from_images_of_any_shape(
    name: str, shape: tuple[int, int, int], classes: int
) -> None:
    torch.manual_seed(0)
    model = build(resolve(name).recipe.model, shape, classes)
    logits = model(torch.randn(4, *shape))
    assert logits.shape == (4, classes)
    assert logits.dtype == torch.float32
    F.cross_entropy(logits, torch.arange(4) % classes).backward()
    gradients = [parameter.grad for parameter in model.parameters()]
    assert all(g is not None and g.isfinite().all() and g.any() for g in gradients)


def test_weights_come_from_the_default_generator() -> None:
    section = resolve("quick").recipe.model
    torch.manual_seed(1)
    first = build(section).state_dict()
    torch.manual_seed(1)
    again = build(section).state_dict()
    other = build(section).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_budget() -> None:
    recipe = resolve("gap-14k", ["constraints.max_parameters=14209"]).recipe
    with pytest.raises(RecipeError) as info:
        check_budget(build(recipe.model), recipe, "mine")
    assert str(info.value) == (
        "mine: the network has 14,210 parameters, 1 over constraints.max_parameters = 14,209. "
        "Make it narrower, or raise the budget (constraints.max_parameters=off removes it)."
    )
    exact = resolve("gap-14k", ["constraints.max_parameters=14210"]).recipe
    assert check_budget(build(exact.model), exact, "mine") == 14_210
    free = resolve("two-conv-fc128").recipe
    assert check_budget(build(free.model), free, "mine") == 207_018


def test_too_large_to_be_made() -> None:
    section = resolve("two-conv-fc12").recipe.model.model_copy(update={"hidden": 10**15})
    with pytest.raises(RecipeError, match=r"two-conv with hidden = 10+, .* cannot be built: .*"):
        build(section)


OWN = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self, outputs=10, how="logits"):
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        self.linear = nn.Linear(784, outputs)
        self.how = how
    def forward(self, x):
        assert not (self.how == "evaluation" and self.training)
        logits = self.linear(self.norm(x).flatten(1))
        return {"logits": logits, "list": [logits], "one": logits[0],
                "evaluation": logits}[self.how]
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kilonet_own_for_build.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("words", "shape", "message"),
    [
        (["model.outputs=3"], (1, 28, 28), r"returned \(1, 3\) for one image of 1×28×28; "),
        (["model.how=list"], (1, 28, 28), "returned list for one image"),
        (["model.how=one"], (1, 28, 28), r"returned \(10,\) .*expected logits of shape \(1, 10\)"),
        (["model.how=else"], (1, 28, 28), r"fails on an image of 1×28×28: KeyError: 'else'"),
        ([], (3, 28, 28), "fails on an image of 3×28×28: RuntimeError: .*float32 batch N×C×H×W"),
        ([], (1, 8, 8), "fails on an image of 1×8×8: RuntimeError: "),
    ],
)
def test_own_network_that_does_not_fit(
    words: list[str], shape: tuple[int, int, int], message: str
) -> None:
    section = resolve("quick", ["model.name=kilonet_own_for_build:Net", *words]).recipe.model
    with pytest.raises(RecipeError, match=f"^kilonet_own_for_build:Net {message}"):
        build(section, shape)


@pytest.mark.usefixtures("own")
def test_own_network_is_left_as_it_was_made() -> None:
    words = ["model.name=kilonet_own_for_build:Net", "model.how=evaluation"]
    model = build(resolve("quick", words).recipe.model)
    assert all(module.training for module in model.modules())
    assert model.norm.num_batches_tracked == 0


@pytest.mark.parametrize(("shape", "classes"), [((3, 32, 32), 10), ((1, 28, 28), 47)])
@pytest.mark.parametrize("name", recipe_names())
def test_builds_and_reads(name: str, shape: tuple[int, int, int], classes: int) -> None:
    recipe = resolve(name).recipe
    images = torch.randint(0, 256, (2, *shape), dtype=torch.uint8)
    changed = augmentation_in(1, recipe)(images, torch.Generator().manual_seed(0))
    assert changed.shape == images.shape
    network = build(recipe.model, shape, classes).eval()
    with torch.inference_mode():
        assert network(changed.float()).shape == (2, classes)


@pytest.mark.parametrize("layers", ["c20000 p20000", "c4000 " * 200, "M c30000 M c30000"])
def test_a_huge_network_is_refused_before_it_needs_memory(layers: str) -> None:
    model = resolve("quick", [f"model.layers={layers}", "constraints=off"]).recipe.model
    with pytest.raises(RecipeError, match=r"parameters, more than 50,000,000\. Choose smaller"):
        build(model)


def test_counting_parameters_draws_no_random_numbers() -> None:
    model = resolve("quick").recipe.model
    torch.manual_seed(0)
    expected = NETWORKS[model.name](**model.model_dump(exclude={"name"}))
    torch.manual_seed(0)
    for found, value in zip(build(model).parameters(), expected.parameters(), strict=True):
        assert torch.equal(found, value)
