"""What /metrics tells: requests, jobs, asks and replies."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from core.errors import (
    InboxFullError,
    InputError,
    NotFoundError,
    NoWorkerError,
    ReplyTimeoutError,
)
from core.queue.messages import Reply
from core.storage.jobs import Totals

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
UNKNOWN = float("nan")
RETRY_REASONS = ("worker_died", "queue_lost")
OUTCOMES: Mapping[type[BaseException], str] = {
    InboxFullError: "full",
    NoWorkerError: "no_worker",
    ReplyTimeoutError: "timeout",
    NotFoundError: "refused",
    InputError: "refused",
}


class _Elsewhere(Collector):
    """Counts that all processes share, as they were last heard of."""

    def __init__(self) -> None:
        self.jobs: Totals | None = None
        self.retries: Mapping[str, int] | None = None

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Yield what is known."""
        if self.jobs is not None:
            yield CounterMetricFamily(
                "malgil_lease_expiries", "Leases of jobs that ran out.", value=self.jobs.expiries
            )
            yield CounterMetricFamily(
                "malgil_job_retries", "Attempts at jobs beyond the first.", value=self.jobs.retries
            )
        if self.retries is not None:
            asks = CounterMetricFamily(
                "malgil_ask_retries", "Asks that were answered anew.", labels=("reason",)
            )
            for reason in RETRY_REASONS:
                asks.add_metric((reason,), self.retries.get(reason, 0))
            yield asks


class Figures:
    """The counters of one API process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "malgil_http_requests_total",
            "HTTP requests answered.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self._counted: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._request_seconds = Histogram(
            "malgil_http_request_seconds",
            "From the first byte of a request to the last of its answer.",
            ("route", "method"),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._replies = Counter(
            "malgil_replies_total", "Asks, by how they ended.", ("outcome",), registry=self.registry
        )
        self._answered = self._replies.labels("answered")
        self._from_kept = self._replies.labels("kept")
        self._reply_seconds = self._seconds(
            "malgil_reply_seconds", "From an ask to its reply, for those that got one."
        )
        self._first_text_seconds = self._seconds(
            "malgil_time_to_first_text_seconds",
            "From an ask to the first text of its streamed reply.",
        )
        self._queue_seconds = self._seconds(
            "malgil_queue_seconds", "From an ask to the first step of the model for it."
        )
        self._inference_seconds = self._seconds(
            "malgil_inference_seconds", "From the first step of the model for an ask to its answer."
        )
        self._batch_size = Histogram(
            "malgil_batch_size",
            "How many asks shared a step of the model with one, at most.",
            buckets=SIZES,
            registry=self.registry,
        )
        self._tokens = Counter(
            "malgil_generated_tokens_total", "Tokens of replies.", registry=self.registry
        )
        self._jobs = Gauge("malgil_jobs", "Jobs, by status.", ("status",), registry=self.registry)
        self._elsewhere = _Elsewhere()
        self.registry.register(self._elsewhere)
        self._waiting = Gauge(
            "malgil_inbox_waiting", "Asks in the inbox, taken up or not.", registry=self.registry
        )

    def _seconds(self, name: str, what: str) -> Histogram:
        return Histogram(name, what, buckets=SECONDS, registry=self.registry)

    def answered(self, *, route: str, method: str, status: int, seconds: float) -> None:
        """Count one HTTP request; ``route`` is its template, never its path."""
        method = method if method in METHODS else "other"
        key = (route, method, status)
        if key not in self._counted:  # finding them by their labels costs more than counting
            self._counted[key] = (
                self._requests.labels(route, method, str(status)),
                self._request_seconds.labels(route, method),
            )
        requests, times = self._counted[key]
        requests.inc()
        times.observe(seconds)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Count the ask made inside by how it ends, and time it if it ends well."""
        began = perf_counter()
        try:
            yield
        except BaseException as error:
            kinds = (OUTCOMES[kind] for kind in type(error).__mro__ if kind in OUTCOMES)
            ended = "failed" if isinstance(error, Exception) else "abandoned"
            self._replies.labels(next(kinds, ended)).inc()
            raise
        self._answered.inc()
        self._reply_seconds.observe(perf_counter() - began)

    def from_kept(self) -> None:
        """Count a reply that took no model."""
        self._from_kept.inc()

    def first_text(self, seconds: float) -> None:
        """Note after how many ``seconds`` a streamed reply began."""
        self._first_text_seconds.observe(seconds)

    def replied(self, reply: Reply) -> None:
        """Note what the worker tells of ``reply``."""
        self._queue_seconds.observe(reply.queue_ms / 1e3)
        self._inference_seconds.observe(reply.model_ms / 1e3)
        self._batch_size.observe(reply.batch)
        self._tokens.inc(reply.tokens)

    def page(
        self,
        *,
        jobs: Totals | None,
        waiting: int | None,
        retries: Mapping[str, int] | None,
    ) -> bytes:
        """Write everything in the Prometheus text format; None: that part could not be asked.

        ``retries`` are those of asks, by their reason.
        """
        self._jobs.clear()
        for status, count in (jobs.by_status if jobs else {}).items():
            self._jobs.labels(status).set(count)
        self._elsewhere.jobs, self._elsewhere.retries = jobs, retries
        self._waiting.set(UNKNOWN if waiting is None else waiting)
        return generate_latest(self.registry)
