"""Sessions in a folder: one append-only JSONL file each, which `cat` shows and other tools can read.

`sessionkit_jsonl.lines` documents the format, `sessionkit_jsonl.names` how a file is called.
"""

from sessionkit_jsonl.backend import JSONLBackend
from sessionkit_jsonl.url import open_url

__all__ = ["JSONLBackend", "open_url"]
