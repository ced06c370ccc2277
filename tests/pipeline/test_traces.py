"""Traces of the true programs, sent to a stand-in for a collector: OTLP over HTTP, as protobuf."""

import asyncio
import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from deploy.signing import Signer
from tests.pipeline.place import Place
from tests.pipeline.webhook import HEADERS, TOPIC_ARN, post

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SECRET = "somebody@example.org"


class Collector:
    """What it was sent."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.bodies: list[bytes] = []

    def spans(self, service: str) -> list[Span]:
        """All of a service, in the order of their ends."""
        found = []
        for body in list(self.bodies):
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                names = [
                    each.value.string_value
                    for each in resource.resource.attributes
                    if each.key == "service.name"
                ]
                if names == [service]:
                    found += [span for scope in resource.scope_spans for span in scope.spans]
        return found


@contextmanager
def collector() -> Iterator[Collector]:
    """A stand-in on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            known.bodies.append(body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        known = Collector(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield known
        finally:
            server.shutdown()
            thread.join()


def attributes(span: Span) -> dict[str, str | int]:
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


def test_a_delivery_and_a_query_are_traced_and_no_secret_leaves(place: Place, tmp_path: Path) -> None:
    """Each step of both under its request; the query in the trace of its client; in several processes too."""
    signer = Signer.create(tmp_path)
    with collector() as sent:
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": sent.url, "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"}
        ingest = place.programs.ingest(TOPIC_ARN, tmp_path, INGEST_PROCESSES="2", **settings)
        worker = place.programs.worker()
        api = place.programs.api(**settings)
        for program in (ingest, worker, api):
            program.wait_until_ready()
        key = place.programs.new_key("acme")
        webhook = f"{ingest.url}/webhooks/sns"
        asyncio.run(post(webhook, signer, [f'{{"to": "{SECRET}"}}'.encode()]))
        forged = json.dumps({**signer.notification(TOPIC_ARN, SECRET), "Message": "another"})
        assert (
            httpx.post(webhook, content=forged, headers=HEADERS, trust_env=False, timeout=60).status_code
            == 403
        )
        headers = {"Authorization": f"Bearer {key}", "traceparent": f"00-{TRACE}-{SPAN}-01"}
        assert api.get(f"/api/metrics/templates/{SECRET}", headers).status_code == 404
        answer = api.get("/api/metrics", headers)
        assert answer.status_code == 200
        assert ingest.stop() == api.stop() == 0  # what was not sent before is sent now

    of_ingest, of_api = sent.spans("ses-metrics-ingest"), sent.spans("ses-metrics-api")
    roots = {attributes(span)["ses.outcome"]: span for span in of_ingest if not span.parent_span_id}
    assert set(roots) == {"stored", "bad_signature"}
    stored, refused = roots["stored"], roots["bad_signature"]
    assert stored.name == refused.name == "POST /webhooks/sns"
    steps = {span.name: span for span in of_ingest if span.trace_id == stored.trace_id}
    assert set(steps) == {stored.name, "verify", "produce", "acknowledge"}
    assert {span.parent_span_id for span in steps.values()} == {b"", stored.span_id}
    assert attributes(stored)["sns.message_id"]
    [line] = ingest.said("delivery not taken")
    assert line["trace_id"] == refused.trace_id.hex()

    steps = {span.name: span for span in of_api if span.trace_id.hex() == TRACE}
    assert {"authenticate", "read redis", "build the answer", "GET /api/metrics"} <= set(steps)
    query = steps["GET /api/metrics"]
    assert query.parent_span_id.hex() == SPAN
    assert steps["build the answer"].parent_span_id == query.span_id
    assert attributes(query)["request.id"] == answer.headers["x-request-id"]
    for secret in (SECRET, key, key[5:16], "acme"):
        assert not any(secret.encode() in body for body in sent.bodies), secret
