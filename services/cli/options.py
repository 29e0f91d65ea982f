"""Options that several commands share."""

from typing import Annotated

import typer

JsonFlag = Annotated[
    bool, typer.Option("--json", help="Print JSON and nothing else, errors included.")
]
Limit = Annotated[int, typer.Option(min=1, help="How many to list at most.")]
