"""Does a claim stand, and is a floor met? Decided here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, field

from reproduction.claims import Claim, Floor
from reproduction.figures import Figure
from reproduction.results import Result, Sample

NOT_MEASURED = "not yet measured"


@dataclass(frozen=True)
class Verdict:
    """``stands`` is None where nothing was measured; ``failures`` says how far off, by aspect."""

    stands: bool | None
    failures: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        if self.stands is None:
            return NOT_MEASURED
        text = "**stands**" if self.stands else "**does not stand**: "
        text += "; ".join(self.failures.values())
        return text + (f" ({'; '.join(self.remarks)})" if self.remarks else "")


def judge_claim(claim: Claim, result: Result | None) -> Verdict:
    """Compare the parameters, the epochs and the final accuracy of ``claim`` with ``result``."""
    if result is None:
        return Verdict(None)
    epochs = max(run.epochs for run in result.runs)
    return _verdict(claim.parameters, claim.epochs, claim.accuracy, result, epochs, result.accuracy)


def judge_floor(floor: Floor, result: Result | None) -> Verdict:
    """Say whether ``result`` meets ``floor``: all that it asks for."""
    sample = floor_sample(floor, result)
    if result is None or sample is None:
        return Verdict(None)
    epochs = max(run.epochs for run in result.runs)
    return _verdict(floor.parameters, floor.epochs, floor.accuracy, result, epochs, sample)


def floor_sample(floor: Floor, result: Result | None) -> Sample | None:
    """Return the accuracies that ``floor`` is about."""
    if result is None or floor.at_epoch is None:
        return result.accuracy if result else None
    return result.recorded("test_accuracy", floor.at_epoch)


def floor_is_met(floor: Floor, results: dict[str, Result]) -> bool | None:
    """Say whether any recipe meets ``floor``; None while none does and some are unmeasured."""
    found = [judge_floor(floor, results.get(label)).stands for label in floor.recipes]
    if True in found:
        return True
    return None if None in found else False


def _verdict(
    parameters: Figure | None,
    epochs: Figure | None,
    accuracy: Figure,
    result: Result,
    epochs_run: int,
    sample: Sample,
) -> Verdict:
    failures = {}
    if parameters is not None and not parameters.kept_by(result.parameters):
        failures["parameters"] = _too_many("parameters", parameters, result.parameters)
    if epochs is not None and not epochs.kept_by(epochs_run):
        failures["epochs"] = _too_many("epochs", epochs, epochs_run)
    if not accuracy.reached_by(sample.mean):
        failures["accuracy"] = _too_low(accuracy, sample)
    remarks = [*_parameter_remarks(parameters, result.parameters), *_doubts(accuracy, sample)]
    return Verdict(not failures, failures, remarks)


def _too_many(aspect: str, figure: Figure, value: int) -> str:
    excess = value - int(figure.high) + (figure.relation == "<")
    return f"{excess:,} {aspect.removesuffix('s') if excess == 1 else aspect} too many"


def _too_low(figure: Figure, sample: Sample) -> str:
    if sample.mean == figure.low:
        return f"accuracy not {figure}"
    return f"accuracy {float(figure.low - sample.mean):.3f} points short"


def _parameter_remarks(figure: Figure | None, parameters: int) -> list[str]:
    """Mention that a count given to the last digit is not the network's, if it needs fewer."""
    if figure is None or figure.relation or parameters >= figure.low:
        return []
    return [f"with {int(figure.low) - parameters:,} parameters fewer"]


def _doubts(accuracy: Figure, sample: Sample) -> list[str]:
    """Mention where other seeds might well have decided otherwise."""
    if sample.interval is None:
        return ["one seed"]
    low, high = sample.interval
    return (
        ["the accuracy's 95 % interval holds both answers"] if low < accuracy.least <= high else []
    )
