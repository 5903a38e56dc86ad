"""The service behaves as its OpenAPI description says.

This uses Schemathesis' strategies, because its pytest plugin does not support pytest 9.
"""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from service import Live

OPERATIONS = [("/predict", "POST"), ("/healthz", "GET"), ("/readyz", "GET"), ("/metrics", "GET")]


@pytest.fixture(scope="module")
def described(service: Live) -> BaseSchema:
    """The service's own description."""
    return schemathesis.openapi.from_url(f"{service.address}/openapi.json")


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_responses_are_as_described(
    described: BaseSchema, path: str, method: str, mode: GenerationMode
) -> None:
    """That holds for invalid requests too: every status, type and body is described, none is a 5xx.

    Two checks are excluded. Valid data may be refused, because OpenAPI can describe a picture only
    as bytes. And a form accepts data of any type, because every field arrives as bytes.
    """
    operation = described[path][method]
    if mode is GenerationMode.NEGATIVE and path != "/predict":
        return  # they have no input that could be invalid

    @given(operation.as_strategy(generation_mode=mode))
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    def check(case: Case) -> None:
        form = (case.media_type or "").startswith("multipart/")
        excluded = [positive_data_acceptance] + [negative_data_rejection] * form
        case.call_and_validate(excluded_checks=excluded)

    check()


def test_every_operation_is_checked(described: BaseSchema) -> None:
    found = {
        (found.ok().path, found.ok().method.upper()) for found in described.get_all_operations()
    }
    assert found == set(OPERATIONS)
