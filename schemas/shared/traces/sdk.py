"""OpenTelemetry's SDK as the keeper of traces. Imported only where traces are wanted: it is an extra."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from schemas.shared.process_metrics import VERSION
from schemas.shared.traces.spans import Value

_PROPAGATOR = TraceContextTextMapPropagator()


class SdkTracer:
    """Keeps traces with a provider of OpenTelemetry. Of an exception its class is noted, never its text."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("ses-metrics", VERSION)

    @contextmanager
    def step(
        self, name: str, kind: SpanKind = SpanKind.INTERNAL, context: Context | None = None
    ) -> Iterator[None]:
        """See `Tracer`."""
        with self._tracer.start_as_current_span(
            name, context, kind, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except Exception as error:
                span.set_status(StatusCode.ERROR)
                span.set_attribute("error.type", type(error).__name__)
                raise

    @contextmanager
    def request(self, method: str, parent: Mapping[str, str]) -> Iterator[None]:
        """See `Tracer`."""
        context = _PROPAGATOR.extract(parent, Context())
        with self.step(method, SpanKind.SERVER, context):
            self.note({"http.request.method": method})
            yield

    def rename(self, name: str) -> None:
        """See `Tracer`."""
        trace.get_current_span().update_name(name)

    def note(self, attributes: Mapping[str, Value]) -> None:
        """See `Tracer`."""
        span = trace.get_current_span()
        span.set_attributes(attributes)
        status = attributes.get("http.response.status_code", HTTPStatus.OK)
        if isinstance(status, int) and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            span.set_status(StatusCode.ERROR)

    def ids(self) -> Mapping[str, str]:
        """See `Tracer`."""
        of = trace.get_current_span().get_span_context()
        if not of.is_valid:
            return {}
        return {"trace_id": trace.format_trace_id(of.trace_id), "span_id": trace.format_span_id(of.span_id)}


def exporting(program: str) -> TracerProvider:
    """A provider that sends in batches, from a thread of its own, to where `OTEL_EXPORTER_OTLP_*` say.

    program: the last word of the service's name where the environment gives none.
    """
    resource = Resource.create({SERVICE_VERSION: VERSION})
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: f"ses-metrics-{program}"}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
