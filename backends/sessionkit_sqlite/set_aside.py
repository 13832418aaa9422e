"""Where a session's damaged values are kept: in ``corrupt_messages``, at position 0, which no message ever has.

As a JSON array of objects, one a repair, from each column to its text, its number, or the hexadecimal digits of its
bytes. They go with the session, as everything about it does.
"""

import json
import sqlite3
from typing import Any


def keep_values(connection: sqlite3.Connection, number: int, values: dict[str, Any]) -> None:
    """Keep what stood in these columns of the session with that number."""
    kept: list[Any] = []
    row = connection.execute("SELECT message FROM corrupt_messages WHERE id = ?", (number << 32,)).fetchone()
    if row is not None:
        try:
            kept = list(json.loads(row[0]))
        except (TypeError, ValueError):
            kept = [_printable(row[0])]
    kept.append({column: _printable(value) for column, value in values.items()})
    connection.execute(
        "INSERT OR REPLACE INTO corrupt_messages (id, created_at, message) VALUES (?, NULL, ?)",
        (number << 32, json.dumps(kept)),
    )


def _printable(value: Any) -> Any:
    return {"bytes": value.hex()} if isinstance(value, bytes) else value
