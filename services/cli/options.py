"""Options that several commands share."""

from typing import Annotated

import typer

JsonFlag = Annotated[
    bool, typer.Option("--json", help="Print JSON and nothing else, errors included.")
]
Limit = Annotated[int, typer.Option(min=1, help="How many to list at most.")]
Source = Annotated[
    str | None, typer.Option(help="Column that is read: its name, or its number from 1.")
]
Target = Annotated[str | None, typer.Option(help="Column that is to be written.")]
Turns = Annotated[str | None, typer.Option(help="Column of a dialogue's turns.")]
Subject = Annotated[
    str | None, typer.Option(help="Column of a mail's subject; goes before what is read.")
]
SplitColumn = Annotated[str | None, typer.Option(help="Column that says train, valid or test.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Such as train.max_epochs=5.")
]
Decoding = Annotated[
    list[str] | None,
    typer.Option(
        "--decode",
        metavar="KEY=VALUE",
        help="How to search for what it says, such as beam_size=8; several times, if need be.",
    ),
]
OfJob = Annotated[str | None, typer.Option("--job", help="Only pairs that this job made.")]
OfDocument = Annotated[str | None, typer.Option("--document", help="Only pairs about this one.")]
Score = Annotated[str | None, typer.Option(help="The name of a score, for --min-score.")]
MinScore = Annotated[float | None, typer.Option(help="Only pairs with at least so much of it.")]
Text = Annotated[str | None, typer.Option(help="Only pairs with this in question or answer.")]
