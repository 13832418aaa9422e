"""Search on every backend, held against a scan that reads the contract's sentence a character at a time."""

from collections import Counter
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import attrs

from sessionkit import ChatMessage, SessionQuery
from sessionkit_jsonl import JSONLBackend
from sessionkit_memory import MemoryBackend
from sessionkit_sqlite import SQLiteBackend, terms
from tests.fuzz import scripts
from tests.fuzz.places import folder
from tests.fuzz.source import HOSTILE, Source
from tests.fuzz.target import Outcomes, Target, check
from tests.toys import KeepingBackend

_KEYS = ("a", "b", "\u00e4")
_WORDS = (
    *(
        "hello",
        "world",
        "Stra\u00dfe",
        "STRASSE",
        "\u6771\u4eac\u90fd",
        "\u6771\u4eac",
        "\u90fd\u6771",
        "foo_bar",
        "3.14",
    ),
    *("\u30bd\u30d5\u30c8\u30fb\u30a6\u30a7\u30a2", "\u30a6\u30a7", "\ud55c\uad6d\uc5b4", "\u0130stanbul", "caf\u00e9"),
    *(
        "cafe\u0301",
        "\ufb01n",
        "fin",
        "OR",
        "NEAR(a, b)",
        '"quoted"',
        "a*",
        "%",
        "_",
        "\u0e2a\u0e27\u0e31\u0e2a",
        "\0",
        "x" * 300,
    ),
    *(
        "\u0915\u094d\u0937",
        "\uff8a\uff9d",
        "a\u200db",
        "\u2126",
        "\u03c3\u03a3\u03c2",
        "\U0001b002\u3042",
        "\\u0061",
        "\u2167",
    ),
)


@attrs.define
class _Stores:
    """The same sessions in every store, and what a plain dict has of them."""

    stores: dict[str, Any]
    model: dict[str, list[ChatMessage]] = attrs.Factory(dict)

    def step(self, source: Source) -> None:
        """One change, made in all of them."""
        key, message = source.pick(_KEYS), _message(source)
        kept = self.model.get(key)
        way = source.below(10)
        if way <= 4 or not kept:
            self.model.setdefault(key, []).append(message)
            self._do("append", key, message)
        elif way <= 6:
            kept[-1] = message
            self._do("update_last", key, message)
        elif way == 7:
            kept.pop()
            self._do("remove_last", key)
        elif way == 8:
            kept.clear()
            self._do("clear_messages", key)
        else:
            self._do("compact", key)

    def ask(self, keyword: str) -> Outcomes:
        """Each store must find what the scan finds."""
        wanted = scripts.terms(keyword, query=True)
        expected = {key for key, kept in self.model.items() if not wanted or any(_holds(each, wanted) for each in kept)}
        kind = "no term" if not wanted else "found" if expected else "not found"
        outcomes: Outcomes = Counter()
        for name, store in self.stores.items():
            found = {each.key for each in store.search(SessionQuery(keyword))}
            check(found == expected, f"{name} finds {sorted(found)} for {keyword!a}, and the scan {sorted(expected)}")
            outcomes[f"accepted: {kind} ({name})"] += 1
        return outcomes

    def _do(self, method: str, *arguments: Any) -> None:
        for store in self.stores.values():
            getattr(store, method)(*arguments)


def run(data: bytes) -> Outcomes:
    """Changes, with keywords asked for in between: each keyword, in each store, is an input."""
    source = Source(data)
    outcomes: Outcomes = Counter()
    with _opened() as stores:
        for _ in range(2 + source.below(12)):
            for _ in range(1 + source.below(4)):
                stores.step(source)
            for _ in range(1 + source.below(4)):
                outcomes += stores.ask(_keyword(source, stores.model))
    return outcomes


@contextmanager
def _opened() -> Generator[_Stores]:
    """Every store, empty. Batches are small, so that they are indexed in between; one never is, one has no FTS5."""
    has_fts5, index_batch = terms._has_fts5, terms.index_batch

    def fts5(connection: Any) -> bool:
        return "without" not in _file(connection) and has_fts5(connection)

    def batch(connection: Any, **options: Any) -> int:
        return 0 if "unindexed" in _file(connection) else index_batch(connection, **options)

    with ExitStack() as stack:
        for name, value in (("BATCH", 3), ("CHECK_EVERY", 2), ("_has_fts5", fts5), ("index_batch", batch)):
            stack.enter_context(mock.patch.object(terms, name, value))
        place = stack.enter_context(folder())
        stores: dict[str, Any] = {
            "memory": stack.enter_context(MemoryBackend()),
            "jsonl": stack.enter_context(JSONLBackend(place / "jsonl")),
            "default": _Default(),
        }
        for name in ("indexed", "unindexed", "without FTS5"):
            stores[f"sqlite, {name}"] = stack.enter_context(SQLiteBackend(place / f"{name}.db"))
        yield _Stores(stores)


class _Default(KeepingBackend):
    """The four methods, and nothing native."""

    __slots__ = ()


def _file(connection: Any) -> str:
    return Path(connection.execute("PRAGMA database_list").fetchone()[2]).name


def _holds(message: ChatMessage, wanted: set[str]) -> bool:
    return wanted <= scripts.terms(_searchable(message))


def _searchable(message: ChatMessage) -> str:
    """What of a message is searched, of those that are made here."""
    content = message.content
    if isinstance(content, str) or content is None:
        return content or ""
    return "\n".join(str(block.get("text", "")) for block in content)


def _message(source: Source) -> ChatMessage:
    text = _text(source)
    return ChatMessage("user", [{"type": "text", "text": text}] if source.chance(5) else text)


def _text(source: Source) -> str:
    parts = [source.pick(_WORDS) if source.chance(2) else source.text(8) for _ in range(source.below(6))]
    return source.pick((" ", "", "-", "\n")).join(parts)


def _keyword(source: Source, model: dict[str, list[ChatMessage]]) -> str:
    """Something of a text that is there, changed as people change it, or anything."""
    texts = [_searchable(each) for kept in model.values() for each in kept]
    if not texts or source.chance(3):
        return _text(source)
    text = source.pick(texts)
    start = source.below(len(text) + 1)
    part = text[start : start + 1 + source.below(12)]
    changes: tuple[Callable[[str], str], ...] = (str, str.upper, str.title, str.swapcase, str.casefold)
    return source.pick(changes)(part)


def seeds() -> list[bytes]:
    """Any bytes will do."""
    return [
        bytes((at * step + offset) % 256 for at in range(400)) for step in (1, 7, 31, 97) for offset in (0, 85, 170)
    ]


WORDS = [HOSTILE[at : at + 2].encode() for at in range(0, len(HOSTILE), 2)]

TARGET = Target(
    "search", "search finds on every backend what a scan by the contract's words finds", run, seeds, WORDS, 900, 1_024
)
