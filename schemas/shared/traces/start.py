"""Whether traces are kept: what OpenTelemetry's own environment variables say, as far as we heed them."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal

from schemas.shared.settings import Settings
from schemas.shared.traces.spans import keep_with

LAST_S: Final = 2.0
"""How long the program's end waits for a collector to take the last traces."""

HELP: Final = (
    "  OTEL_EXPORTER_OTLP_ENDPOINT  where OpenTelemetry traces go, by HTTP; none: none are kept; takes the"
    " extra `otel`; with the other OTEL_* of its SDK"
)
"""A line for `--help`."""


class TraceSettings(Settings):
    """Where traces go. What else the SDK reads from the environment (`OTEL_*`), it reads itself."""

    otel_exporter_otlp_endpoint: str = ""
    otel_exporter_otlp_traces_endpoint: str = ""
    otel_exporter_otlp_protocol: Literal["http/protobuf"] = "http/protobuf"
    otel_exporter_otlp_traces_protocol: Literal["http/protobuf"] = "http/protobuf"
    otel_traces_exporter: Literal["otlp", "none"] = "otlp"
    otel_sdk_disabled: bool = False

    @property
    def wanted(self) -> bool:
        """Whether traces are to be kept."""
        named = self.otel_exporter_otlp_endpoint or self.otel_exporter_otlp_traces_endpoint
        return bool(named) and self.otel_traces_exporter == "otlp" and not self.otel_sdk_disabled


@contextmanager
def kept_traces(program: str) -> Iterator[None]:
    """Keep traces meanwhile, where the environment wants it.

    At the end the last ones are sent, within `LAST_S`. program: `ingest` or `api`.
    Raises: ValidationError where a setting cannot be right; SystemExit where the extra is not installed.
    """
    if not TraceSettings().wanted:
        yield
        return
    try:
        from schemas.shared.traces.sdk import SdkTracer, exporting  # noqa: PLC0415  # an extra
    except ImportError:
        sys.exit("wrong setting: OTEL_EXPORTER_OTLP_ENDPOINT takes the extra: pip install ses-metrics[otel]")
    provider = exporting(program)
    keep_with(SdkTracer(provider))
    try:
        yield
    finally:
        keep_with(None)
        # It would try for 10 s where the collector is away, which is as long as Docker waits for all of us.
        ending = threading.Thread(target=provider.shutdown, name="last-traces", daemon=True)
        ending.start()
        ending.join(LAST_S)
