"""docker-compose.yml says the same as the code; whether it runs, acceptance tests try."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.settings import Settings
from services.embedded.children import children

ROOT = Path(__file__).parents[1]
OURS = ("migrate", "api", "inference", "jobs", "beat")
OF_THE_IMAGE = {"MALGIL_HOME", "MALGIL_HOST"}
OF_NO_CONTAINER = {"MALGIL_DATA", "MALGIL_PORT"}  # no recipes there; the port is always the same


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return found


def test_containers_run_what_an_embedded_installation_runs(services: dict[str, Any]) -> None:
    settings = Settings(home=Path("/nowhere"), redis_url="redis://queue")
    embedded = {one.name: " ".join(one.command[1:]) for one in children(settings)}
    embedded["migrate"] = embedded.pop("migrations")
    assert {name: f"python {words}" for name, words in embedded.items()} == {
        name: services[name]["command"] for name in OURS
    }


def test_every_setting_reaches_every_container(services: dict[str, Any]) -> None:
    settings = {f"MALGIL_{name.upper()}" for name in Settings.model_fields}
    image = set(re.findall("MALGIL_[A-Z_]+", (ROOT / "Dockerfile").read_text()))
    assert image >= OF_THE_IMAGE
    for name in OURS:
        told = {one for one in services[name]["environment"] if one.startswith("MALGIL_")}
        assert told == settings - OF_THE_IMAGE - OF_NO_CONTAINER


def test_defaults_of_containers_are_those_of_the_code(services: dict[str, Any]) -> None:
    defaults = {
        name: re.fullmatch(r"\$\{\w+:-(.*)\}", value)
        for name, value in services["api"]["environment"].items()
        if value and name != "MALGIL_BLOBS_URL"
    }
    for name, found in defaults.items():
        if found:
            default = Settings.model_fields[name.removeprefix("MALGIL_").lower()].default
            told = f"{default:g}" if isinstance(default, int | float) else default or ""
            assert found[1] == told, name
    assert sum(found is not None for found in defaults.values()) > 10


def test_what_may_be_scaled_has_neither_name_nor_port(services: dict[str, Any]) -> None:
    for name in ("inference", "jobs"):
        assert not {"container_name", "ports"} & set(services[name])


def test_containers_get_longer_to_end_than_the_embedded_ones(services: dict[str, Any]) -> None:
    settings = Settings(home=Path("/nowhere"), redis_url="redis://queue")
    graces = {one.name: one.grace_s for one in children(settings)}
    for name in ("api", "inference", "jobs"):
        assert float(services[name]["stop_grace_period"].removesuffix("s")) > graces[name]


def test_the_example_of_settings_has_no_secret_and_names_all_that_is_needed() -> None:
    example = (ROOT / ".env.example").read_text()
    needed = set(re.findall(r"\$\{(\w+):\?", (ROOT / "docker-compose.yml").read_text()))
    assert needed == {"POSTGRES_PASSWORD", "REDIS_PASSWORD"}
    for name in (*needed, "AWS_SECRET_ACCESS_KEY"):
        assert re.search(f"^(# )?{name}=$", example, re.MULTILINE)
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()
