"""Traces: one from the request through the queue to the worker, for whoever collects them.

Spans go where OpenTelemetry's own variables say (OTEL_EXPORTER_OTLP_ENDPOINT, over HTTP); without
them nothing is made, and nothing of OpenTelemetry is loaded. It is installed by the extra
``tracing``.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider

log = structlog.get_logger()

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PARENT = "traceparent"  # W3C Trace Context, 3.2

Attributes = Mapping[str, str | int | float]


class Tracing:
    """What makes spans in one process, if anything does."""

    def __init__(self) -> None:
        self._provider: TracerProvider | None = None

    def open(self, service: str) -> None:
        """Make spans from now on, as parts of ``service``, if the environment says where to."""
        if not any(os.environ.get(name) for name in ENDPOINTS):
            return
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import SERVICE_NAME, Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError:
            log.warning("no traces are made: pip install 'malgil[tracing]'")
            return
        named = {} if os.environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: service}
        self._provider = TracerProvider(resource=Resource.create(named))
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))

    def close(self) -> None:
        """Send what has not been sent, and make no more."""
        provider, self._provider = self._provider, None
        if provider is not None:
            provider.shutdown()

    @contextmanager
    def span(self, name: str, *, parent: str = "") -> Iterator[dict[str, Any]]:
        """Make a span of what happens inside, below ``parent``, a traceparent, if there is one.

        What is put into the dictionary tells more of it; ``name`` there names it anew.
        """
        told: dict[str, Any] = {}
        if self._provider is None:
            yield told
            return
        tracer = self._provider.get_tracer("malgil")
        with tracer.start_as_current_span(name, context=_context(parent)) as span:
            try:
                yield told
            finally:
                span.update_name(str(told.pop("name", name)))
                span.set_attributes(told)

    def record(
        self, name: str, *, parent: str, began: float, ended: float, attributes: Attributes
    ) -> None:
        """Make a span of what is over, from ``began`` to ``ended`` in Unix seconds."""
        if self._provider is None:
            return
        tracer = self._provider.get_tracer("malgil")
        span = tracer.start_span(
            name,
            context=_context(parent),
            start_time=round(began * 1e9),
            attributes=dict(attributes),
        )
        span.end(round(ended * 1e9))

    def carried(self) -> str:
        """Return the traceparent of the span that one is in, to be sent along; empty if in none."""
        if self._provider is None:
            return ""
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        carrier: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(carrier)
        return carrier.get(PARENT, "")


def _context(parent: str) -> "Context | None":
    if not parent:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({PARENT: parent})


tracing = Tracing()
