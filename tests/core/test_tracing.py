"""Traces: nothing without a collector; with one, spans that hang together."""

import subprocess
import sys

import pytest

from core.tracing import Tracing, tracing
from tests.core.collecting import attributes, collecting


def test_without_a_collector_nothing_is_made_or_loaded() -> None:
    code = (
        "import sys; from core.tracing import tracing; tracing.open('x')\n"
        "with tracing.span('a') as told: told['b'] = 1; assert tracing.carried() == ''\n"
        "tracing.record('c', parent='', began=1.0, ended=2.0, attributes={})\n"
        "tracing.close(); print([name for name in sys.modules if 'opentelemetry' in name])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout.strip() == "[]"


def test_spans_hang_together_across_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting(monkeypatch) as spans:
        with tracing.span("GET") as told:
            carried = tracing.carried()
            told |= {"name": "GET /v1/jobs", "http.route": "/v1/jobs"}
        tracing.record(
            "answer", parent=carried, began=10.0, ended=10.5, attributes={"malgil.tokens": 3}
        )
        with pytest.raises(ValueError, match="no"), tracing.span("POST", parent=carried):
            raise ValueError("no")
        tracing.close()
    request, answer, failed = spans
    assert request.name == "GET /v1/jobs"
    assert attributes(request) == {"http.route": "/v1/jobs"}
    assert (answer.trace_id, answer.parent_span_id) == (request.trace_id, request.span_id)
    assert answer.end_time_unix_nano - answer.start_time_unix_nano == 500_000_000
    assert attributes(answer) == {"malgil.tokens": 3}
    assert failed.parent_span_id == request.span_id
    assert failed.status.code == 2


def test_what_is_not_installed_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    one = Tracing()
    one.open("x")
    assert one.carried() == ""
    assert "malgil[tracing]" in capsys.readouterr().out
