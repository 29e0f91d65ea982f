"""``python -m workers.pulse QUEUE``: exits 0 while a queue is consumed here, as containers ask.

Here means by a worker of this host, which in a container is the one worker in it. The queue of
sweeps is looked at as a whole: that it is alive proves that beat sends and a worker hears.
"""

import socket
import sys

from redis.exceptions import RedisError

from core.queue.broker import open_redis
from core.queue.messages import SWEEP_QUEUE, alive_key, heard_key
from core.settings import Settings


def main(queue: str) -> int:
    """Look once; returns the exit status."""
    here = socket.gethostname()
    key = alive_key(queue) if queue == SWEEP_QUEUE else heard_key(queue, here)
    try:
        with open_redis(Settings().redis_url) as redis:
            heard = bool(redis.exists(key))
    except RedisError as error:
        sys.stdout.write(f"The broker does not answer: {error}\n")
        return 1
    sys.stdout.write(f"{queue} {'is consumed' if heard else 'has not been heard of lately'}.\n")
    return 0 if heard else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
