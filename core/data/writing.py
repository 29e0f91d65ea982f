"""Examples to a file that can be imported."""

import json
from collections.abc import Iterable, Mapping
from typing import BinaryIO

from core.data.examples import Example, Split, content_of


def write_jsonl(splits: Mapping[Split, Iterable[Example]], file: BinaryIO) -> int:
    """Write each example as a line of JSON that names its split; return how many there were.

    An import that is told the column ``split`` divides them as they were divided here.
    """
    count = 0
    for split, examples in splits.items():
        for example in examples:
            line = json.dumps({**content_of(example), "split": split}, ensure_ascii=False)
            file.write(line.encode() + b"\n")
            count += 1
    return count
