import socket
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import ConflictError
from core.settings import Settings
from services.embedded.claims import held, with_port

HOLD = """
import sys, pathlib
from services.embedded.claims import held
with held(pathlib.Path(sys.argv[1])):
    print(flush=True)
    input()
"""


def test_a_home_is_made_and_closed_to_others(tmp_path: Path) -> None:
    home = tmp_path / "deep" / "home"
    with held(home):
        assert home.stat().st_mode & 0o777 == 0o700


def test_a_home_is_held_by_one_process_and_free_when_that_dies(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(ConflictError, match=f"process {other.pid}"), held(tmp_path):
            pass
        other.kill()
        other.wait(10)
    with held(tmp_path):
        pass


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost", ""])
def test_a_taken_port_is_named(tmp_path: Path, host: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConflictError, match=f"Port {port}"):
            with_port(Settings(home=tmp_path, host=host, port=port))


def test_a_free_port_is_kept(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    settings = Settings(home=tmp_path, port=port)
    assert with_port(settings) is settings


def test_port_nought_becomes_a_free_one_in_the_url_too(tmp_path: Path) -> None:
    settings = with_port(Settings(home=tmp_path, port=0))
    assert settings.port > 0
    assert settings.api_url == f"http://127.0.0.1:{settings.port}"


def test_a_url_of_ones_own_is_kept(tmp_path: Path) -> None:
    settings = with_port(Settings(home=tmp_path, port=0, api_url="https://bots.example"))
    assert settings.api_url == "https://bots.example"


def test_an_unknown_host_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ConflictError, match=r"name\.invalid"):
        with_port(Settings(home=tmp_path, host="name.invalid", port=8000))
