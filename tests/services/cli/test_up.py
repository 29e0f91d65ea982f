import socket
from pathlib import Path

from services.embedded.claims import held
from tests.services.cli.conftest import Malgil


def test_a_taken_port_is_1_and_named(malgil: Malgil, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = malgil("up", "--home", tmp_path, "--port", port)
        assert (ran.code, ran.out) == (1, "")
        assert f"Port {port}" in ran.err
        assert malgil("up", "--home", tmp_path, "--port", port, "--json").data["error"]


def test_a_home_that_is_in_use_is_1_and_named(malgil: Malgil, tmp_path: Path) -> None:
    with held(tmp_path):
        ran = malgil("up", "--home", tmp_path, "--port", "0")
    assert ran.code == 1
    assert str(tmp_path) in ran.err


def test_a_home_that_cannot_be_is_told(malgil: Malgil, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ran = malgil("up", "--home", tmp_path / "file" / "home", "--port", "0")
    assert ran.code == 1
    assert "file" in ran.err


def test_the_demo_needs_its_examples(malgil: Malgil, tmp_path: Path) -> None:
    ran = malgil("demo", "--examples", tmp_path)
    assert ran.code == 2
    assert "smalltalk.ko.csv" in ran.err
