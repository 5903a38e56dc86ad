"""What is counted."""

from __future__ import annotations

import httpx
from prometheus_client.parser import text_string_to_metric_families

from kilonet.serve.metrics import MEDIA_TYPE


def counts(client: httpx.Client) -> dict[tuple[str, ...], float]:
    response = client.get("/metrics")
    assert response.headers["content-type"] == MEDIA_TYPE
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def test_it_counts(client: httpx.Client, zero: bytes) -> None:
    before = counts(client)
    png = {"content-type": "image/png"}
    client.post("/predict", content=zero, headers=png)
    client.post("/predict", content=b"nonsense", headers=png)
    client.post("/predict", files=[("pictures", zero), ("pictures", b"x")])
    client.get("/made-up-by-the-client")
    after = counts(client)

    def more(*name: str) -> float:
        return after.get(name, 0) - before.get(name, 0)

    assert more("kilonet_requests_total", "/predict", "200") == 2
    assert more("kilonet_requests_total", "/predict", "422") == 1
    assert more("kilonet_requests_total", "(none)", "404") == 1
    assert more("kilonet_predictions_total", "0") == 2
    assert more("kilonet_refused_total", "unreadable") == 2
    assert more("kilonet_refused_total", "not-found") == 1
    assert more("kilonet_request_seconds_count", "/predict") == 3
    assert after["kilonet_in_flight",] == 1
    assert not any("made-up" in label for name in after for label in name)
