"""The API over HTTP, as the commands use it."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_address
from itertools import chain, repeat
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
from pydantic import ValidationError

from core.settings import Settings
from services.cli.failures import Exit, Failure, from_problem

TIMEOUT = httpx.Timeout(60.0, connect=5.0)
PATIENT = httpx.Timeout(None, connect=5.0)  # an import of a large file takes as long as it takes
PATIENCE_S = 30.0  # for a server that broke off, when asking again cannot make anything twice
PAUSES_S = (0.2, 0.5, 1.0, 2.0)  # between two tries; the last one repeats
BROKEN = (httpx.NetworkError, httpx.RemoteProtocolError)
IN_PROGRESS = "urn:malgil:problem:in-progress"
PAGE = 200  # rows asked for at once; the API gives no more


class Client:
    """Asks one server; every failure is raised as ``Failure`` with its exit code."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        # A proxy from the environment has no business between two processes of one machine.
        self._http = httpx.Client(timeout=TIMEOUT, trust_env=not _is_local(self.base_url))

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        params: Mapping[str, Any] | None = None,
        form: Mapping[str, Any] | None = None,
        files: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Send one request and return its JSON answer, None if it is empty.

        ``body`` goes as JSON; ``form`` and ``files`` go as multipart, without a time limit.
        """
        with self._failing():
            response = self._http.request(
                method,
                self.base_url + path,
                json=body,
                params={key: value for key, value in (params or {}).items() if value is not None},
                data=form,
                files=files,
                headers=headers,
                timeout=PATIENT if files else TIMEOUT,
            )
        if not response.is_success:
            raise self._refusal(response)
        return self._json(response) if response.content else None

    def make(
        self,
        path: str,
        *,
        method: str = "POST",
        body: Any = None,
        form: Mapping[str, Any] | None = None,
        files: Any = None,
    ) -> Any:
        """Do as ``ask`` does for what makes something, and makes it once.

        It carries a key, so that it can be sent again where the connection broke before the
        answer came, for ``PATIENCE_S`` seconds.
        """
        key, began = {"Idempotency-Key": str(uuid4())}, time.monotonic()
        for tries, pause_s in enumerate(chain(PAUSES_S, repeat(PAUSES_S[-1]))):
            try:
                return self.ask(method, path, body=body, form=form, files=files, headers=key)
            except Failure as failure:
                late = time.monotonic() - began + pause_s > PATIENCE_S
                if late or not _may_come(failure, first=tries == 0):
                    raise
            time.sleep(pause_s)
        raise AssertionError("pauses never end")

    def rows(self, path: str, *, limit: int, **params: Any) -> list[dict[str, Any]]:
        """Return up to ``limit`` rows of a list, page after page."""
        rows: list[dict[str, Any]] = []
        before: str | None = None
        while len(rows) < limit:
            more = {"limit": min(limit - len(rows), PAGE), "before": before}
            page = self.ask("GET", path, params={**params, **more})
            rows += page["data"]
            before = page.get("next")
            if before is None:
                break
        return rows[:limit]

    @contextmanager
    def streaming(
        self, path: str, *, headers: Mapping[str, str] | None = None, silence_s: float = 60.0
    ) -> Iterator[httpx.Response]:
        """Open an answer that is read as it comes; ``silence_s`` without a byte ends it."""
        timeout = httpx.Timeout(silence_s, connect=5.0)
        with (
            self._failing(),
            self._http.stream(
                "GET", self.base_url + path, headers=headers, timeout=timeout
            ) as response,
        ):
            if not response.is_success:
                response.read()
                raise self._refusal(response)
            yield response

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except httpx.TimeoutException as error:
            detail = f"{self.base_url} is there, or was, but says nothing."
            if isinstance(error, httpx.ConnectTimeout):
                detail = self._start_it()
            raise Failure(Exit.UNAVAILABLE, "No answer in time", detail) from error
        except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            detail = f"MALGIL_API_URL is {self.base_url!r}: {error}"
            raise Failure(Exit.REFUSED, "That is no address of a server", detail) from error
        except httpx.ConnectError as error:
            raise Failure(Exit.UNAVAILABLE, "No server answers", self._start_it()) from error
        except httpx.TransportError as error:
            detail = f"{self.base_url}: {error}"
            raise Failure(Exit.UNAVAILABLE, "The connection broke", detail) from error

    def _start_it(self) -> str:
        return f"There is none at {self.base_url}; start it with: malgil up"

    def _refusal(self, response: httpx.Response) -> Failure:
        try:
            problem = response.json()
        except ValueError:
            problem = None
        if not isinstance(problem, dict):
            problem = {"detail": response.text.strip()[:300]}
        return from_problem(response.status_code, problem)

    def _json(self, response: httpx.Response) -> Any:
        try:
            return response.json()
        except json.JSONDecodeError as error:
            detail = f"Something else answers at {self.base_url}."
            raise Failure(Exit.UNAVAILABLE, "That is not Malgil", detail) from error


def settings(**given: Any) -> Settings:
    """Read the environment under what the command line gave, where that is not None."""
    try:
        return Settings(**{key: value for key, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = "MALGIL_" + "_".join(str(part) for part in first["loc"]).upper()
        raise Failure(Exit.REFUSED, "A setting does not fit", f"{name}: {first['msg']}") from error


def connect() -> Client:
    """Return a client of the server that the environment names."""
    return Client(settings().api_url)


def _may_come(failure: Failure, *, first: bool) -> bool:
    """Say whether the answer can still be had; where no server was from the first, it cannot."""
    if isinstance(failure.__cause__, httpx.ConnectError):
        return not first
    return isinstance(failure.__cause__, BROKEN) or failure.problem.get("type") == IN_PROGRESS


def _is_local(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
