"""The installation of docker-compose.yml on a real engine, as a test drives it."""

import json
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from core.settings import Settings
from tests.acceptance.processes import ROOT, free_port, wait_until, without_malgil
from tests.acceptance.production import House

TOOL = Settings().data.parent / "tools" / "docker-engine"  # starts an engine where there is none
NEEDED = ("python:3.11-slim", "redis:7", "postgres:16")
IMAGE = "malgil:acceptance"
KILL = "import os, sys; os.kill(int(sys.argv[1]), 9)"


@dataclass(slots=True)
class Containers:
    """One project of docker-compose, and the house that it makes up."""

    compose: tuple[str, ...]
    environment: dict[str, str]
    house: House

    def run(self, *words: str, timeout_s: float = 300.0, succeeds: bool = True) -> str:
        """Say something to docker-compose and return what it prints."""
        return _run(*self.compose, *words, env=self.environment, s=timeout_s, succeeds=succeeds)

    def shell(self, lines: str, folder: Path) -> str:
        """Run lines as a person would, who stands in the project and keeps files in ``folder``."""
        told = {**self.environment, "KEPT": str(folder)}
        spoken = lines.replace("docker-compose", " ".join(self.compose))
        return _run("sh", "-e", "-c", spoken, env=told)

    def docker(self, *words: str) -> str:
        """Say something to the engine and return what it prints."""
        return _run("/usr/bin/env", "docker", *words, env=self.environment)

    def of(self, service: str) -> list[str]:
        """Return the ids of the containers of a service."""
        return self.run("ps", "-q", service).split()

    def look(self, container: str) -> dict[str, Any]:
        """Return what the engine knows of a container."""
        found: dict[str, Any] = json.loads(self.docker("inspect", container))[0]
        return found

    def kill(self, container: str) -> None:
        """Kill what runs in a container with -9, from outside.

        ``docker kill`` would not do: the engine takes it for a wish, and lets the container lie.
        """
        pid = self.look(container)["State"]["Pid"]
        as_root = ("--rm", "--pid", "host", "--user", "0", "--cap-add", "KILL", "--network", "none")
        self.docker("run", *as_root, IMAGE, "python", "-c", KILL, str(pid))

    def well(self) -> bool:
        """Whether every container runs and those with a health check are healthy."""
        ids = self.run("ps", "-q").split()
        states = [self.look(one)["State"] for one in ids]
        return all(
            state["Health"]["Status"] == "healthy"
            if "Health" in state
            else state["Running"] or state["ExitCode"] == 0  # of what runs once
            for state in states
        )

    def up(self, *words: str) -> None:
        """Start everything and wait until the API says that all of it is there."""
        self.run("up", "-d", *words, timeout_s=600)
        wait_until(self.house.ready, timeout_s=120)


@contextmanager
def containers() -> Iterator[Containers]:
    """Build the image, run everything until the block is left, and leave nothing but the image."""
    with engine() as host, tempfile.TemporaryDirectory(prefix="malgil-") as folder:
        port = free_port()
        environment = {
            **without_malgil(),
            "DOCKER_HOST": host,
            "COMPOSE_HTTP_TIMEOUT": "300",
            "COMPOSE_PROJECT_NAME": f"malgil-{uuid4().hex[:8]}",
            "MALGIL_VERSION": IMAGE.partition(":")[2],
            "MALGIL_PORT": str(port),
            "POSTGRES_PASSWORD": secrets.token_hex(16),
            "REDIS_PASSWORD": secrets.token_hex(16),
        }
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False
        ) as client:
            house = House(Path(folder), environment, client)
            built = Containers(_compose(), environment, house)
            try:
                built.run("build", timeout_s=800)
                built.up()
                yield built
            finally:
                built.run("down", "--volumes", "--remove-orphans", succeeds=False)


@contextmanager
def engine() -> Iterator[str]:
    """The engine of DOCKER_HOST, or else one that the shared tool starts; without one, skip."""
    host = os.environ.get("DOCKER_HOST", "")
    if not shutil.which("docker"):
        pytest.skip(f"there is no docker; DOCKER_HOST names an engine, {TOOL} installs one")
    if host:
        yield _with_images(host)
        return
    if not TOOL.exists() or not shutil.which("dockerd"):
        pytest.skip(f"no DOCKER_HOST names an engine, and {TOOL} has not installed one")
    said = _run(str(TOOL), "up", env=dict(os.environ))
    host = said.partition("export DOCKER_HOST=")[2].splitlines()[0]
    try:
        yield _with_images(host)
    finally:
        if "already up" not in said:
            _run(str(TOOL), "down", env=dict(os.environ))


def _with_images(host: str) -> str:
    environment = {**os.environ, "DOCKER_HOST": host}
    for image in NEEDED:
        found = subprocess.run(
            ["/usr/bin/env", "docker", "image", "inspect", image],
            env=environment,
            capture_output=True,
            check=False,
            timeout=60,
        )
        if found.returncode != 0:
            pytest.skip(f"the engine at {host} has no image {image}")
    return host


def _compose() -> tuple[str, ...]:
    return ("docker-compose",) if shutil.which("docker-compose") else ("docker", "compose")


def _run(*words: str, env: dict[str, str], s: float = 300.0, succeeds: bool = True) -> str:
    ran = subprocess.run(
        words, env=env, cwd=ROOT, capture_output=True, text=True, check=False, timeout=s
    )
    assert ran.returncode == 0 or not succeeds, f"{words}: {ran.stdout}{ran.stderr}"[-3000:]
    return ran.stdout
