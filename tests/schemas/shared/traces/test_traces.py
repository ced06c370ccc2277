"""What is kept of requests where traces are, with OpenTelemetry's exporter into memory; and nothing else."""

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
import structlog
from fastapi import FastAPI
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from schemas.shared import logs
from schemas.shared.traces import spans
from schemas.shared.traces.requests import traced
from schemas.shared.traces.sdk import SdkTracer
from schemas.shared.traces.start import TraceSettings
from tests.pipeline.programs import CHECKOUT

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SECRET = "somebody@example.org"


@pytest.fixture
def kept() -> Iterator[InMemorySpanExporter]:
    """Keeps traces in memory meanwhile."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    spans.keep_with(SdkTracer(provider))
    yield exporter
    spans.keep_with(None)


def program() -> FastAPI:
    app = FastAPI(openapi_url=None)

    @app.get("/things/{name}")
    @app.get("/livez")
    async def thing(name: str = "") -> dict[str, str]:
        with spans.step("first"):
            spans.note("size", len(name))
        with spans.step("second"):
            await asyncio.sleep(0)
            if name == "broken":
                raise ValueError(SECRET)
        return dict(spans.ids())

    return app


def get(path: str, *, follows: bool = True, **headers: str) -> httpx.Response:
    """The answer of the program, traced as it is now."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(traced(program(), follows=follows), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://it") as client:
            return await client.get(path, headers=headers)

    return asyncio.run(ask())


def by_name(kept: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in kept.get_finished_spans()}


def test_a_request_and_its_steps_are_one_trace(kept: InMemorySpanExporter) -> None:
    """By its route and its status, and its lines in the log can name it."""
    answer = get("/things/abc")
    found = by_name(kept)
    assert set(found) == {"first", "second", "GET /things/{name}"}
    request = found["GET /things/{name}"]
    assert request.parent is None
    assert dict(request.attributes or {}) == {
        "http.request.method": "GET",
        "http.route": "/things/{name}",
        "http.response.status_code": 200,
    }
    assert dict(found["first"].attributes or {}) == {"size": 3}
    for name in ("first", "second"):
        assert found[name].parent == request.context
    assert answer.json() == {
        "trace_id": f"{request.context.trace_id:032x}",
        "span_id": f"{request.context.span_id:016x}",
    }


@pytest.mark.parametrize("follows", [True, False])
def test_a_request_joins_the_trace_of_its_client_where_it_should(
    kept: InMemorySpanExporter, follows: bool
) -> None:
    """W3C Trace Context; one that cannot be read is none."""
    answer = get("/things/abc", follows=follows, traceparent=f"00-{TRACE}-{SPAN}-01")
    assert (answer.json()["trace_id"] == TRACE) is follows
    [request] = [span for span in kept.get_finished_spans() if span.name.startswith("GET")]
    assert (request.parent is not None and f"{request.parent.span_id:016x}" == SPAN) is follows
    assert get("/things/abc", follows=follows, traceparent="00-nothing").status_code == 200
    assert get("/things/abc", follows=follows, traceparent=f"00-{TRACE}-{SPAN}-00").json()["trace_id"]
    last = [span for span in kept.get_finished_spans() if span.name.startswith("GET")]
    assert len(last) == (2 if follows else 3), "a client that does not sample has its part not sampled"


def test_of_what_goes_wrong_the_class_is_kept_and_no_word(kept: InMemorySpanExporter) -> None:
    """An exception's text may quote what somebody sent."""
    assert get("/things/broken").status_code == 500
    found = by_name(kept)
    assert not found["first"].status.description
    for name in ("second", "GET /things/{name}"):
        assert found[name].status.status_code.name == "ERROR"
        assert (found[name].attributes or {})["error.type"] == "ValueError"
    assert not any(SECRET in span.to_json() for span in kept.get_finished_spans())


def test_probes_and_strange_paths_make_no_names(kept: InMemorySpanExporter) -> None:
    """Who runs the program asks every few seconds; whoever tries paths makes one name."""
    get("/livez")
    assert {name for name in by_name(kept) if name.startswith("GET")} == set()
    assert get(f"/{SECRET}").status_code == 404
    assert "GET" in by_name(kept)
    assert not any(SECRET in span.to_json() for span in kept.get_finished_spans())


def test_log_lines_name_the_trace(
    kept: InMemorySpanExporter, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours and those of libraries; outside of a request none does."""
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", root.handlers)
    monkeypatch.setattr(root, "level", root.level)
    logs.configure()
    try:
        with spans.step("a step"):
            structlog.get_logger("ours").info("within")
            logging.getLogger("theirs").warning("within")
        structlog.get_logger("ours").info("without")
    finally:
        structlog.reset_defaults()
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    [span] = kept.get_finished_spans()
    assert [line.get("trace_id") for line in lines] == [f"{span.context.trace_id:032x}"] * 2 + [None]


def test_without_traces_an_application_is_as_it_was() -> None:
    """No step costs more than a look, and nothing is known of a trace."""
    app = program()
    assert traced(app, follows=True) is app
    assert spans.step("a") is spans.step("b")
    assert get("/things/abc").json() == {}


@pytest.mark.programs
def test_without_traces_what_sends_them_is_not_imported() -> None:
    """Other parts of OpenTelemetry may be: redis-py imports what it finds installed."""
    code = "import sys, ingest.__main__, api.__main__, api.app; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    imported = done.stdout.split()
    assert "schemas.shared.traces.spans" in imported
    assert [name for name in imported if name.startswith("opentelemetry.exporter")] == []
    assert "schemas.shared.traces.sdk" not in imported


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://here:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://here:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://here:4318", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://here:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_SERVICE_NAME": "mail"}, False),
    ],
)
def test_the_environment_says_whether_traces_are_kept(
    environment: dict[str, str], wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert TraceSettings().wanted is wanted
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    with pytest.raises(ValueError, match="http/protobuf"):
        TraceSettings()
