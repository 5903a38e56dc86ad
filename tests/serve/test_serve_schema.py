"""The OpenAPI description against the service: what is described is what happens.

By strategies rather than Schemathesis' pytest plugin, which does not go with pytest 9.
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
    """The description that the service gives of itself."""
    return schemathesis.openapi.from_url(f"{service.address}/openapi.json")


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_requests_and_answers_are_as_described(
    described: BaseSchema, path: str, method: str, mode: GenerationMode
) -> None:
    """Also wrong ones: no status, type or body but those described, and never a 5xx.

    That what fits is accepted cannot be: of a picture, OpenAPI can only say that it is bytes. Nor
    that all else is refused in a form: whatever a field should not be arrives as bytes too.
    """
    operation = described[path][method]
    if mode is GenerationMode.NEGATIVE and path != "/predict":
        return  # they take nothing that could be wrong

    @given(operation.as_strategy(generation_mode=mode))
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    def check(case: Case) -> None:
        form = (case.media_type or "").startswith("multipart/")
        beyond = [positive_data_acceptance] + [negative_data_rejection] * form
        case.call_and_validate(excluded_checks=beyond)

    check()


def test_every_operation_is_checked(described: BaseSchema) -> None:
    found = {
        (found.ok().path, found.ok().method.upper()) for found in described.get_all_operations()
    }
    assert found == set(OPERATIONS)
