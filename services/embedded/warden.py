"""Outlive the supervisor, and end its children if it died without doing so itself.

``python -m services.embedded.warden`` reads lines, each the records of all who run now, from a
pipe of which only the supervisor has the writing end. The system closes that however the
supervisor ends, ``kill -9`` included; whoever the last line names is then ended. A signal on the
death of the parent (``prctl``) would do this for direct children only, and on Linux only.
"""

import signal
import sys

from services.embedded import state


def main() -> None:
    """Wait for the supervisor's end, then clear up what it left."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)  # it ends after the supervisor, never before
    records: list[state.Record] = []
    for line in sys.stdin:
        if line.endswith("\n"):  # else the supervisor died in the middle of it
            records = state.load(line)
    state.end(records)


if __name__ == "__main__":
    main()
