"""``malgil pairs``: questions and answers about documents."""

from collections.abc import Iterator
from enum import StrEnum
from getpass import getuser
from itertools import islice
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from services.cli.client import PAGE, Client, connect
from services.cli.corpora import upload
from services.cli.downloading import download, refuse_to_overwrite
from services.cli.keys import keys
from services.cli.options import JsonFlag, Limit, MinScore, OfDocument, OfJob, Score, Text
from services.cli.reviewing import Reviewing
from services.cli.screen import Screen, size, table

app = typer.Typer(help="Review questions and answers, take them out or in.", no_args_is_help=True)


class Review(StrEnum):
    """What a person thought of a pair."""

    NEW = "new"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    EDITED = "edited"


class Format(StrEnum):
    """What a file of pairs is for."""

    SQUAD = "squad"
    SQUAD_V2 = "squad-v2"
    CSV = "csv"
    JSONL = "jsonl"
    ANKI = "anki"


class Kind(StrEnum):
    """What pairs are made into."""

    PAIRS = "pairs"
    PASSAGES = "passages"


Reviews = Annotated[
    list[Review] | None, typer.Option("--review", help="Only pairs in this state; several times.")
]


@app.command("list")
def list_(
    job: OfJob = None,
    document: OfDocument = None,
    review: Reviews = None,
    score: Score = None,
    min_score: MinScore = None,
    text: Text = None,
    limit: Limit = 50,
    as_json: JsonFlag = False,
) -> None:
    """List pairs, document by document."""
    screen = Screen(as_json=as_json)
    wanted = _wanted(job, document, review, score, min_score, text)
    with connect() as client:
        rows = list(islice(pages(client, wanted), limit))
    columns = ("pair", "review", "question", "answer", "scores")
    screen.result({"data": rows}, table(columns, map(_row, rows)))


@app.command()
def nearest(
    question: Annotated[str, typer.Argument(help="What somebody might ask.")],
    job: OfJob = None,
    document: OfDocument = None,
    least: Annotated[
        float, typer.Option(min=0.5, max=1.0, help="How alike questions must be.")
    ] = 0.5,
    limit: Annotated[int, typer.Option(min=1, max=50, help="How many to list at most.")] = 5,
    as_json: JsonFlag = False,
) -> None:
    """Find accepted and edited pairs whose questions are nearly the same."""
    screen = Screen(as_json=as_json)
    params = {"question": question, "least": least, "limit": limit}
    with connect() as client:
        params |= {"job_id": job, "document_id": document}
        found = client.ask("GET", "/v1/pairs/nearest", params=params)["data"]
    names = ("similarity", "question", "answer", "title", "pair_id")
    rows = [[f"{one['similarity']:.2f}", *(one[name] for name in names[1:])] for one in found]
    screen.result({"data": found}, table(("alike", "question", "answer", "document", "pair"), rows))


@app.command("review")
def review_(
    job: OfJob = None,
    document: OfDocument = None,
    review: Reviews = None,
    score: Score = None,
    min_score: MinScore = None,
    text: Text = None,
    reviewer: Annotated[str | None, typer.Option(help="Your name; as you logged in here.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Look at pairs one by one, new ones if nothing else is told, and say what you think of them.

    Single keys: a accept, r reject, e edit, n next, b back, q quit. Without a terminal each line
    is a key, and an edit reads two lines more: question and answer, where an empty one keeps what
    is there.
    """
    screen = Screen(as_json=as_json)
    wanted = _wanted(job, document, review or [Review.NEW], score, min_score, text)
    with connect() as client, keys(live=screen.is_live) as pressed:
        found = pages(client, wanted)
        name = reviewer or _login()
        Reviewing(client, screen, found, reviewer=name, keys=pressed).run()


@app.command("export")
def export(
    file: Annotated[Path, typer.Argument(dir_okay=False, help="Where to write them.")],
    *,
    file_format: Annotated[Format, typer.Option("--format", help="What the file is for.")],
    job: OfJob = None,
    document: OfDocument = None,
    review: Reviews = None,
    score: Score = None,
    min_score: MinScore = None,
    text: Text = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Write pairs to a file: those that were accepted or edited, if nothing else is told."""
    screen = Screen(as_json=as_json)
    refuse_to_overwrite(file, force=force)
    told = _wanted(job, document, review, score, min_score, text)
    query = urlencode({"format": file_format.value, **told}, doseq=True)
    with connect() as client:
        written = download(client, f"/v1/pairs/export?{query}", file)
    screen.result({"file": str(file), "bytes": written}, f"Wrote {file} ({size(written)}).")


@app.command("corpus")
def corpus_(
    *,
    name: Annotated[str, typer.Option(help="A name that is taken gets a new version.")],
    kind: Annotated[
        Kind, typer.Option(help="To learn to answer questions, or to ask them about passages.")
    ] = Kind.PAIRS,
    job: OfJob = None,
    document: OfDocument = None,
    review: Reviews = None,
    score: Score = None,
    min_score: MinScore = None,
    text: Text = None,
    source_language: Annotated[
        str | None, typer.Option(help="Of the questions, such as ko.")
    ] = None,
    target_language: Annotated[str | None, typer.Option(help="Of the answers, such as ko.")] = None,
    licence: Annotated[str | None, typer.Option(help="Such as CC0-1.0.")] = None,
    valid_share: Annotated[float | None, typer.Option(help="Held out while training.")] = None,
    test_share: Annotated[float | None, typer.Option(help="Held out for good.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Make pairs a corpus to train on: those that were accepted or edited, if nothing is told."""
    screen = Screen(as_json=as_json)
    where = _wanted(
        job, document, review or [Review.ACCEPTED, Review.EDITED], score, min_score, text
    )
    more = {
        "where": where,
        "source_language": source_language,
        "target_language": target_language,
        "licence": licence,
        "valid_share": valid_share,
        "test_share": test_share,
    }
    told = {key: value for key, value in more.items() if value is not None}
    with connect() as client:
        made = client.make("/v1/pairs/corpus", body={"name": name, "kind": kind.value, **told})
    count = made["train_count"] + made["valid_count"] + made["test_count"]
    screen.result(made, f"Made {made['name']}@{made['version']} of {count} {kind.value}.")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
    as_json: JsonFlag = False,
) -> None:
    """Bring in pairs that people have written, as JSON lines.

    A line has document_id, question, and answer_start and answer_end, or an answer that the
    document has only once.
    """
    screen = Screen(as_json=as_json)
    with connect() as client:
        told = upload(client, "/v1/pairs", [file], screen, {})
    screen.result(told, f"Read {told['read']} pairs, {told['new']} of them new.")


def pages(client: Client, wanted: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the pairs that are meant, page after page as they are needed."""
    after: str | None = None
    while True:
        params = {**wanted, "limit": PAGE, "after": after}
        page = client.ask("GET", "/v1/pairs", params=params)
        yield from page["data"]
        after = page["next"]
        if after is None:
            return


def _wanted(
    job: str | None,
    document: str | None,
    review: list[Review] | None,
    score: str | None,
    min_score: float | None,
    text: str | None,
) -> dict[str, Any]:
    """Return which pairs are meant, as the API has it."""
    told = {
        "job_id": job,
        "document_id": document,
        "review": [one.value for one in review] if review else None,
        "score": score,
        "min_score": min_score,
        "text": text,
    }
    return {name: value for name, value in told.items() if value is not None}


def _row(pair: dict[str, Any]) -> tuple[object, ...]:
    said = pair["edited"] or pair
    scores = ", ".join(f"{name} {score:.3g}" for name, score in pair["scores"].items())
    return pair["id"], pair["review"], said["question"], said["answer"], scores


def _login() -> str | None:
    try:
        return getuser()
    except (OSError, KeyError):  # nobody in particular, as in a container
        return None
