"""What a chaos test serves: a stand-in for a model, in a house that runs several workers."""

from collections import Counter
from typing import Any

from redis import Redis

from core.models.build import build
from core.pipelines.bundle import Bundle, write_bundle
from core.queue.broker import open_redis
from core.queue.messages import INBOX, INBOX_GROUP, load_replies, replies_key
from core.specs import DecodeSpec, ModelSpec, Plan, TokenizerSpec
from core.text.tokenizer import Tokenizer
from tests.acceptance.processes import Program, wait_until
from tests.acceptance.production import House


def tiny_bundle(seed: int = 0) -> bytes:
    """Return a bundle whose network nobody will ask; each seed makes another one."""
    tokenizer = Tokenizer.train(
        ["hello 0123456789"], TokenizerSpec(kind="bpe", vocabulary_size=400)
    )
    plan = Plan(
        tokenizer=tokenizer.spec,
        model=ModelSpec(embedding_dim=8, hidden_dim=8),
        decode=DecodeSpec(beam_size=1, max_tokens=4),
    )
    model = build(plan.model, vocabulary_size=tokenizer.size)
    return write_bundle(Bundle(model, tokenizer, plan, seed, {}))


def upload(running: House, data: bytes) -> str:
    """Bring a bundle in and return its checkpoint."""
    files = {"file": ("bot.safetensors", data)}
    return str(running.ask("POST", "/v1/checkpoints", files=files)["id"])


def promote(running: House, checkpoint: str) -> None:
    """Let "bot" mean a checkpoint."""
    running.ask("PUT", "/v1/aliases/bot", json={"checkpoint": checkpoint})


def serve(running: House, *, workers: int) -> None:
    """Serve a stand-in as "bot" with so many workers, and wait until each of them answers."""
    promote(running, upload(running, tiny_bundle()))
    for number in range(2, workers + 1):
        running.run_inference(f"inference-{number}")
    names = ["inference", *(f"inference-{number}" for number in range(2, workers + 1))]
    wait_until(lambda: all(is_ready(running.programs[name]) for name in names))
    wait_until(lambda: answers(running))


def answers(running: House) -> bool:
    """Whether "bot" answers."""
    answer = running.client.post("/v1/replies", json={"model": "bot", "text": "hello"})
    return answer.status_code == 200


def is_ready(worker: Program) -> bool:
    """Whether a worker has warmed up since it was started."""
    return worker.said().count("ready to answer") == worker.starts


def valkey_of(running: House) -> Redis:
    """Return a client of the queue server."""
    return open_redis(running.environment["MALGIL_REDIS_URL"])


def finals(valkey: Redis) -> Counter[str]:
    """Return how many last words were posted for each ask, of those in the mailboxes."""
    counted: Counter[str] = Counter()
    for key in valkey.keys(replies_key("*")):
        entries: Any = valkey.xrange(key)
        for _, fields in entries:
            counted.update(one.id for one in load_replies(fields[b"replies"]) if one.final)
    return counted


def left_in_the_inbox(valkey: Redis) -> tuple[int, int]:
    """Return how many asks lie in the inbox, and how many are in somebody's hands."""
    pending: Any = valkey.xpending(INBOX, INBOX_GROUP)
    return int(valkey.xlen(INBOX)), int(pending["pending"])
