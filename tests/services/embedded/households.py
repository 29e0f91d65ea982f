"""Small real processes that stand in for the children of an installation."""

import sys
import textwrap
from pathlib import Path
from typing import Any

from core.settings import Settings
from services.embedded.children import FACE, WORKER, Child
from services.embedded.supervisor import Notice

ANSWERING = """
    import http.server, os
    class Ready(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200); self.end_headers(); self.wfile.write(b"ready")
        def log_message(self, *words): pass
    http.server.HTTPServer(("127.0.0.1", int(os.environ["MALGIL_PORT"])), Ready).serve_forever()
"""


def settings(home: Path, *, port: int = 0) -> Settings:
    """An installation without a queue server: there is nothing embedded but what a test adds."""
    return Settings(home=home, redis_url="redis://127.0.0.1:1", port=port)


def child(name: str, script: str, **options: Any) -> Child:
    """A child that runs ``script``; the comment makes its command one of ours."""
    words = f"# services\n{textwrap.dedent(script)}"
    given: dict[str, Any] = {"tier": WORKER, "where": "", "grace_s": 5.0, **options}
    return Child(name=name, command=(sys.executable, "-c", words), **given)


def sleeper(name: str = "sleeper", **options: Any) -> Child:
    """A child that does nothing until it is told to end."""
    return child(name, "import time\ntime.sleep(60)", **options)


def answering(**options: Any) -> Child:
    """A child that says it is ready at the port of the settings."""
    return child("api", ANSWERING, **{"tier": FACE, **options})


class Heard:
    """Remembers every notice."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []

    def __call__(self, notice: Notice) -> None:
        self.notices.append(notice)

    def names(self, kind: str) -> list[str]:
        """The names of those to whom that happened, in order."""
        return [notice.name for notice in self.notices if notice.kind == kind]

    def pid(self, name: str) -> int:
        """The newest process id of a child."""
        return [one.pid for one in self.notices if one.name == name and one.kind == "started"][-1]
