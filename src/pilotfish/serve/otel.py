"""OpenTelemetry traces: a span a request, and under it one for each model call, by the gen-ai conventions.

Source: OpenTelemetry, "Semantic conventions for generative AI systems", spans. No prompt and no reply is in a span.
"""

from __future__ import annotations

from typing import Any

from pilotfish._extras import need
from pilotfish.model import Call
from pilotfish.serve.record import Served

__all__ = ["Spans"]

_OPERATIONS = {"chatcmpl": "chat", "cmpl": "text_completion", "embd": "embeddings"}


class Spans:
    """Makes spans of records.

    A call's span has the call's own length; its beginning is not known, so the calls of a request stand end to end in
    the order in which they were made. The number in `pilotfish.call.index` says which came when.

    Args:
        provider: what gives tracers; without one, an OTLP exporter that the usual `OTEL_…` variables configure.

    Raises:
        MissingExtra: the extra `otel` is not installed.
    """

    def __init__(self, provider: Any = None) -> None:
        self._trace = need("opentelemetry.trace", "otel")
        context = need("opentelemetry.trace.propagation.tracecontext", "otel")
        self._propagator = context.TraceContextTextMapPropagator()
        self._own: Any = None
        if provider is None:
            provider = self._own = _exporting()
        self._tracer = provider.get_tracer("pilotfish.serve")

    def put(self, served: Served, traceparent: str | None = None) -> None:
        """Make the spans of a request that has ended; `traceparent` is the header that tells whose child it is."""
        trace = self._trace
        parent = self._propagator.extract({"traceparent": traceparent}) if traceparent else None
        operation = _OPERATIONS.get(served.id.partition("-")[0], "chat")
        begun, ended = _nanoseconds(served.time), _nanoseconds(served.time + served.seconds)
        span = self._tracer.start_span(
            f"{operation} {served.model}".strip(),
            context=parent,
            kind=trace.SpanKind.SERVER,
            start_time=begun,
            attributes=_attributes(served, operation),
        )
        if served.status >= 400:
            span.set_attribute("error.type", str(served.status))
            if served.status >= 500:
                span.set_status(trace.Status(trace.StatusCode.ERROR, served.error))
        within, at = trace.set_span_in_context(span), served.time
        for index, call in enumerate(served.calls):
            child = self._tracer.start_span(
                f"{operation} {call.model}",
                context=within,
                kind=trace.SpanKind.CLIENT,
                start_time=_nanoseconds(at),
                attributes=_of_call(call, operation, index),
            )
            at += call.seconds
            child.end(end_time=_nanoseconds(at))
        for decision in served.decisions:
            score = {} if decision.score is None else {"pilotfish.score": decision.score}
            span.add_event("pilotfish.decision", {"pilotfish.verdict": decision.verdict, **score}, timestamp=ended)
        span.end(end_time=ended)

    def close(self) -> None:
        """Send what waits."""
        if self._own is not None:
            self._own.shutdown()


def _attributes(served: Served, operation: str) -> dict[str, Any]:
    request, reply, usage = served.request, served.reply, served.usage
    found: dict[str, Any] = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": "pilotfish",
        "gen_ai.request.model": served.model,
        "gen_ai.response.id": served.id,
        "gen_ai.response.model": served.answered_by,
        "gen_ai.usage.input_tokens": usage.tokens_in,
        "gen_ai.usage.output_tokens": usage.tokens_out,
        "gen_ai.request.max_tokens": request.max_tokens,
        "gen_ai.request.temperature": request.temperature,
        "gen_ai.request.top_p": request.top_p,
        "gen_ai.request.seed": request.seed,
        "gen_ai.request.choice.count": request.n if request.n != 1 else None,
        "gen_ai.response.finish_reasons": None if reply is None else (reply.finish_reason,),
        "pilotfish.attempts": served.attempts,
        "pilotfish.cost": served.cost,
        "pilotfish.cached": served.cached,
        "pilotfish.overhead_seconds": served.overhead,
        "http.response.status_code": served.status,
    }
    return {name: value for name, value in found.items() if value is not None and value != ""}


def _of_call(call: Call, operation: str, index: int) -> dict[str, Any]:
    found = {
        "gen_ai.operation.name": operation,
        "gen_ai.request.model": call.model,
        "gen_ai.usage.input_tokens": call.tokens_in,
        "gen_ai.usage.output_tokens": call.tokens_out,
        "pilotfish.call.index": index,
        "pilotfish.role": call.role,
        "pilotfish.cost": call.cost,
        "pilotfish.cached": call.cached,
    }
    return {name: value for name, value in found.items() if value is not None}


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)


def _exporting() -> Any:
    """Return a provider that sends spans to a collector, in batches, from a thread of its own."""
    sdk = need("opentelemetry.sdk.trace", "otel")
    export = need("opentelemetry.sdk.trace.export", "otel")
    otlp = need("opentelemetry.exporter.otlp.proto.http.trace_exporter", "otel")
    resources = need("opentelemetry.sdk.resources", "otel")
    # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win over this name.
    resource = resources.Resource({"service.name": "pilotfish"}).merge(resources.OTELResourceDetector().detect())
    provider = sdk.TracerProvider(resource=resource)
    provider.add_span_processor(export.BatchSpanProcessor(otlp.OTLPSpanExporter()))
    return provider
