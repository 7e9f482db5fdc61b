"""Spans of requests, by the gen-ai conventions."""

from __future__ import annotations

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from pilotfish.errors import UpstreamError
from pilotfish.model import Model
from pilotfish.serve.otel import Spans
from tests.fakes import ScriptedModel
from tests.serve.gateways import running, until
from tests.serve.test_books import two

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def spans_of(models: dict[str, Model], prompt: str, model: str, count: int, **headers: str) -> list[ReadableSpan]:
    """Return the spans of one chat."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    body = {"model": model, "messages": [{"role": "user", "content": prompt}], "temperature": 0.5}
    with running(models, traces=Spans(provider)) as gateway:
        gateway.post("chat/completions", body, **headers)
        assert until(lambda: len(exporter.get_finished_spans()) == count)
    return list(exporter.get_finished_spans())


def test_a_span_for_the_request_and_one_for_each_call() -> None:
    small, large, whole = spans_of(two(), "a private question", "both", 3, traceparent=PARENT)
    assert [span.name for span in (small, large, whole)] == ["chat small", "chat large", "chat both"]
    assert [span.kind for span in (small, large, whole)] == [SpanKind.CLIENT, SpanKind.CLIENT, SpanKind.SERVER]
    assert whole.parent is not None
    assert whole.context is not None
    assert f"{whole.context.trace_id:032x}" == PARENT.split("-")[1]
    assert f"{whole.parent.span_id:016x}" == PARENT.split("-")[2]
    for call in (small, large):
        assert call.parent is not None
        assert call.parent.span_id == whole.context.span_id
    told = dict(whole.attributes or {})
    assert told["gen_ai.operation.name"] == "chat"
    assert (told["gen_ai.request.model"], told["gen_ai.response.model"]) == ("both", "large")
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (6, 5)
    assert (told["gen_ai.request.temperature"], told["pilotfish.attempts"]) == (0.5, 2)
    assert (small.attributes or {})["gen_ai.usage.output_tokens"] == 2
    (event,) = whole.events
    assert (event.attributes or {})["pilotfish.verdict"] == "deferred"
    assert "private" not in whole.to_json() + small.to_json() + large.to_json()


def test_an_error_marks_its_span() -> None:
    models: dict[str, Model] = {"small": ScriptedModel(lambda _: UpstreamError("down", status=500), name="small")}
    (span,) = spans_of(models, "x", "small", 1)
    assert span.parent is None
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "502"


def test_a_header_that_is_no_trace_is_no_parent() -> None:
    spans = spans_of({"small": ScriptedModel(name="small")}, "x", "small", 2, traceparent="nonsense")
    assert spans[-1].parent is None
