"""What the description of the API promises to a reader."""

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import fields

import pytest
from pydantic import BaseModel

from core.settings import Settings
from core.specs import TrainJob, parse
from services.api import schemas
from services.api.app import create_app
from services.api.schemas import jobs

DESCRIBED = create_app(Settings()).openapi()
OPERATIONS = [
    pytest.param(operation, id=operation["operationId"])
    for path in DESCRIBED["paths"].values()
    for operation in path.values()
]


def examples() -> Iterator[tuple[type[BaseModel], object]]:
    for module in pkgutil.iter_modules(schemas.__path__, f"{schemas.__name__}."):
        for kind in vars(importlib.import_module(module.name)).values():
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                for example in kind.model_config.get("json_schema_extra", {}).get("examples", []):
                    yield kind, example


def shown(kind: type[BaseModel]) -> list[dict]:
    return kind.model_config["json_schema_extra"]["examples"]


@pytest.mark.parametrize(("kind", "example"), list(examples()))
def test_every_example_fits_what_it_is_an_example_of(
    kind: type[BaseModel], example: object
) -> None:
    kind.model_validate(example)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_route_is_described_with_all_ways_to_fail(operation: dict) -> None:
    assert operation["summary"]
    assert operation["description"]
    assert len(operation["tags"]) == 1
    told = {code for code in operation["responses"] if int(code) >= 400}
    assert {"422", "500", "503"} <= told
    if "requestBody" in operation:
        assert {"400", "413"} <= told
    for code in told - {"503"}:
        schema = operation["responses"][code]["content"]["application/problem+json"]["schema"]
        assert schema == {"$ref": "#/components/schemas/Problem"}


def test_examples_of_jobs_tell_what_a_training_tells() -> None:
    from core.training.events import Measured, Progress, Validated

    def names(kind: type) -> set[str]:
        return {field.name for field in fields(kind)}

    told = [example["data"].keys() | {"step"} for example in shown(jobs.EventBody)]
    assert told == [names(Measured), names(Validated)]
    for kind in (jobs.JobBody, jobs.JobDetail):
        (example,) = shown(kind)
        assert example["progress"].keys() == {"stage", "held_s", *names(Progress)}
        assert parse(TrainJob, example["spec"]).model_dump(mode="json") == example["spec"]


def test_bodies_have_examples() -> None:
    bodies = {
        name: schema
        for name, schema in DESCRIBED["components"]["schemas"].items()
        if name.endswith(("Request", "Body", "Detail")) and name != "HealthBody"
    }
    assert len(bodies) > 15
    assert [name for name, schema in bodies.items() if "examples" not in schema] == []
