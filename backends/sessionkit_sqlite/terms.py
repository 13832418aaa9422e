"""The full-text index, filled late and in batches.

A full-text row written at each append would make it four to six times as dear. So a trigger notes in ``unindexed`` from
which message on a session is not indexed, and now and then an append moves a batch of messages into ``terms``. A search
asks the index, and reads the short rest itself: it is always right, and never writes.

``terms`` is an FTS5 table without content and without positions, whose ``ascii`` tokenizer splits at what is no ASCII
letter, digit or underscore and keeps every other character: it makes of ASCII text just the terms that
`sessionkit.tokenize` does, and of any other text we give it those terms, with spaces between. Nothing can be read back
from it, so to take a row out the same terms must be given again. Wrong ones would leave postings behind in silence:
where the terms of the index were made by another version of ours, or of Unicode, it is made anew.
"""

import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing

from sessionkit.codec import decode_text
from sessionkit.errors import InvalidMessageError
from sessionkit.text import TERMS_VERSION, tokenize
from sessionkit_sqlite import settling

BATCH = 2048
"""How many messages are indexed at once: fewer cost more each, more make one append wait longer."""

BATCH_BYTES = 16 * 1024 * 1024
"""And how many bytes of JSON, or a little more: images may make a message large."""

CHECK_EVERY = 512
"""After how many appends of one process it looks whether a batch has come together."""

_CREATE = """
CREATE VIRTUAL TABLE IF NOT EXISTS terms USING fts5(
    text, content = '', detail = none, columnsize = 0, tokenize = "ascii tokenchars '_'"
)
"""

# A batch becomes one segment, whose leaves each fit into a page, and sixteen segments are merged into one: a third
# cheaper than the defaults, for searches that look at some more segments.
_SETTINGS = {"pgsz": 2000, "hashsize": 8 * 1024 * 1024, "automerge": 16, "crisismerge": 32}

# In the order of the ids: indexed in any other, they would make many small segments.
_UNINDEXED_MESSAGES = """
SELECT messages.id, ifnull(CAST(message AS BLOB), x'') FROM unindexed
CROSS JOIN messages ON messages.id BETWEEN since AND number << 32 | 0xFFFFFFFF
ORDER BY number, messages.id
"""

_MATCHES = "SELECT EXISTS (SELECT 1 FROM terms WHERE terms MATCH ? AND rowid BETWEEN ? AND ?)"

# FTS5 cuts longer terms off, at 32,768 bytes; they would all look alike.
_LONGEST_TERM = 32_000
_LONG_RUN = re.compile(rf"\w{{{_LONGEST_TERM}}}")

# More terms than this in one query are looked for by reading.
_MOST_TERMS = 64


def adopt_index(connection: sqlite3.Connection) -> None:
    """Make the index ours: create it, or make it anew where its terms are of another version."""
    if not _has_fts5(connection) or is_current(connection) or _version(connection) is None:
        return
    connection.execute("BEGIN IMMEDIATE")
    if not is_current(connection):
        start_anew(connection)
    connection.execute("COMMIT")


def is_current(connection: sqlite3.Connection) -> bool:
    """Whether the index can be asked: FTS5 is there, and its terms are those of this version."""
    return _version(connection) == TERMS_VERSION and _has_fts5(connection)


def index_batch(connection: sqlite3.Connection, *, at_least: int | None = None) -> int:
    """Index a batch of messages where at least so many (or `BATCH`) wait, in a transaction; how many were."""
    if _waiting(connection) < (at_least or BATCH) or not is_current(connection):
        return 0
    connection.execute("BEGIN IMMEDIATE")
    indexed = index_batch_within(connection)
    connection.execute("COMMIT")
    return indexed


def index_batch_within(connection: sqlite3.Connection) -> int:
    """Index a batch of messages within a transaction, of a current index; how many were.

    All sessions are settled then, or the trigger would not say of their next messages that they wait.
    """
    settling.settle(connection)
    texts, is_full = _next_batch(connection)
    connection.executemany("INSERT INTO terms (rowid, text) VALUES (?, ?)", texts)
    if is_full:
        newest = texts[-1][0]
        connection.execute("DELETE FROM unindexed WHERE number < ?", (newest >> 32,))
        connection.execute("UPDATE unindexed SET since = ? WHERE number = ?", (newest + 1, newest >> 32))
    else:
        connection.execute("DELETE FROM unindexed")
    return len(texts)


def index_batches(connection: sqlite3.Connection, most: int) -> bool:
    """Index so many batches at most; whether that was all there is.

    Who adds many messages indexes many, who adds one waits for one batch.
    """
    return any(not index_batch(connection) for _ in range(most))


def forget(connection: sqlite3.Connection, first: int, last: int) -> None:
    """Take the messages of one session with those ids out of the index, before they go; within a transaction."""
    indexed = connection.execute(
        "SELECT id, ifnull(CAST(message AS BLOB), x'') FROM messages WHERE id BETWEEN ? AND ?",
        (first, min(last, _unindexed_since(connection, first) - 1)),
    )
    with closing(indexed):  # while it is open, the index can't be made anew
        stale = not _take_out(connection, indexed) if is_current(connection) else indexed.fetchone() is not None
    if stale:
        start_anew(connection)


def forget_newest(connection: sqlite3.Connection, newest: int) -> None:
    """Take a session's newest message out of the index, before it changes, and have it wait to be indexed again."""
    forget(connection, newest, newest)
    since = min(newest, _unindexed_since(connection, newest))
    connection.execute("INSERT OR REPLACE INTO unindexed VALUES (?, ?)", (newest >> 32, since))


def forget_unreadable(connection: sqlite3.Connection, number: int) -> None:
    """Take a message out of the index whose terms can't be known any more: where it is indexed, by making it anew."""
    if number < _unindexed_since(connection, number):
        start_anew(connection)


def match_expression(terms: frozenset[str]) -> str | None:
    """The query for ``terms MATCH ?``, each term quoted as data; None where reading the messages is the better way."""
    if len(terms) > _MOST_TERMS:
        return None
    return " ".join(f'"{indexed_term(term)}"' for term in terms)


def is_match(connection: sqlite3.Connection, number: int, expression: str) -> bool:
    """Whether a message of that session is in the index, and matches."""
    return bool(connection.execute(_MATCHES, (expression, number << 32, number << 32 | 0xFFFFFFFF)).fetchone()[0])


def unindexed_matches(connection: sqlite3.Connection, terms: frozenset[str]) -> set[int]:
    """The numbers of the sessions that have a match among the messages that are not indexed yet."""
    plain = [term.encode() for term in terms if term.isascii()]
    found: set[int] = set()
    for message, raw in connection.execute(_UNINDEXED_MESSAGES):
        number = message >> 32
        if number not in found and _may_hold(raw, plain) and terms <= tokenize(readable_text(raw)):
            found.add(number)
    return found


def readable_text(raw: bytes) -> str:
    """The searchable text of a stored message; none where it can't be read."""
    try:
        return decode_text(raw)
    except InvalidMessageError:
        return ""


def _may_hold(raw: bytes, plain: list[bytes]) -> bool:
    """Whether JSON of nothing but ASCII holds every term of nothing but ASCII, as it must to match."""
    if not raw.isascii():
        return True
    lowered = raw.lower()
    return all(term in lowered for term in plain)


def _version(connection: sqlite3.Connection) -> object:
    """By which version of the terms the index was made; None where the file is damaged, and does not say."""
    row = connection.execute("SELECT terms_version FROM store").fetchone()
    return None if row is None else row[0]


def _has_fts5(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("SELECT sqlite_compileoption_used('ENABLE_FTS5')").fetchone()[0])


def start_anew(connection: sqlite3.Connection) -> None:
    """An empty index, and every message waiting for it; where this SQLite has no FTS5, somebody else's task."""
    if _has_fts5(connection):
        connection.execute("DROP TABLE IF EXISTS terms")
        connection.execute(_CREATE)
        for setting, value in _SETTINGS.items():
            connection.execute("INSERT INTO terms (terms, rank) VALUES (?, ?)", (setting, value))
        connection.execute("UPDATE store SET terms_version = ?", (TERMS_VERSION,))
    else:
        connection.execute("UPDATE store SET terms_version = ''")
    connection.execute("INSERT OR REPLACE INTO unindexed SELECT number, number << 32 FROM sessions")


def _waiting(connection: sqlite3.Connection) -> int:
    """How many messages of settled sessions wait to be indexed, those that have gone since included.

    Read from the ends, not counted.
    """
    (waiting,) = connection.execute(
        "SELECT sum(last_position - (since & 0xFFFFFFFF) + 1) FROM unindexed JOIN sessions USING (number)"
    ).fetchone()
    return waiting or 0


def _unindexed_since(connection: sqlite3.Connection, message: int) -> int:
    """The first id of that message's session that is not in the index; beyond the last where all are."""
    number = message >> 32
    row = connection.execute("SELECT since FROM unindexed WHERE number = ?", (number,)).fetchone()
    return row[0] if row else (number + 1) << 32


def _take_out(connection: sqlite3.Connection, rows: Iterable[tuple[int, bytes]]) -> bool:
    """Take those messages out of the index, one by one since they may be large; False where one can't be read."""
    unreadable: list[int] = []

    def readable() -> Iterator[tuple[int, str]]:
        for number, raw in rows:
            try:
                text = decode_text(raw)
            except InvalidMessageError:
                unreadable.append(number)
                return
            yield number, _indexed_text(text)

    connection.executemany("INSERT INTO terms (terms, rowid, text) VALUES ('delete', ?, ?)", readable())
    return not unreadable


def _next_batch(connection: sqlite3.Connection) -> tuple[list[tuple[int, str]], bool]:
    """The texts of a batch of messages that wait, read one by one for their blocks may be large; whether it is full."""
    texts: list[tuple[int, str]] = []
    left = BATCH_BYTES
    with closing(connection.execute(f"{_UNINDEXED_MESSAGES} LIMIT ?", (BATCH,))) as rows:
        for number, raw in rows:
            texts.append((number, _indexed_text(readable_text(raw))))
            left -= len(raw)
            if left <= 0:
                return texts, True
    return texts, len(texts) == BATCH


def _indexed_text(text: str) -> str:
    """What FTS5 is given, so that it finds just the terms of `tokenize`; it makes those of ASCII text itself."""
    if text.isascii() and (len(text) < _LONGEST_TERM or not _LONG_RUN.search(text)):
        return text
    return " ".join(map(indexed_term, tokenize(text)))


def indexed_term(term: str) -> str:
    """What stands in the index for a term."""
    if len(term) * 4 < _LONGEST_TERM or len(term.encode()) < _LONGEST_TERM:
        return term
    from hashlib import sha256  # noqa: PLC0415 -- takes longer to import than this module, and no real text needs it

    return sha256(term.encode()).hexdigest()
