"""The stores that are damaged: small, with something of everything, and told apart to the last message."""

import random
import re
import shutil
import string
from pathlib import Path

from sessionkit import ChatMessage, SessionContext, ToolCall, open_backend

_chance = random.Random(7)  # noqa: S311 -- no secret

KEYS = (
    "".join(_chance.sample(string.ascii_lowercase, 12)),
    "user/" + "".join(_chance.sample(string.digits, 9)),
    "Ä ö",
    "z",
)
"""The sessions; a flipped bit makes none of them another one."""

MARKS = {key: "".join(_chance.sample(string.ascii_lowercase, 16)) for key in KEYS}
"""What stands in every message of a session, and in no other's, far from any other mark."""

STORES = ("jsonl", "sqlite", "sqlite-log")
"""The last is a database that a crash left beside its log."""

WORD = "commonword"

PAGE = 2048
"""Bytes of a page of the databases."""

_LEAF = 0x0D


def said(key: str, number: int) -> ChatMessage:
    """The message of that number: it says its session and itself."""
    text = f"{MARKS[key]} {WORD} <{number:04}> " + "words of no meaning " * (number % 5) + "é日本 " * (number % 3)
    if number == 7:
        return ChatMessage("user", text + "long " * 1500)
    calls = (ToolCall(f"c{number}", "look", f'{{"at": "{MARKS[key]}"}}'),) if number % 4 == 1 else ()
    return ChatMessage("assistant" if number % 2 else "user", text, tool_calls=calls)


def mark_of(message: ChatMessage) -> tuple[str, int] | None:
    """Of which session it is, and which of them; None where nobody can say any more."""
    text = message.content if isinstance(message.content, str) else ""
    mark, _, rest = text.partition(" ")
    number = rest.partition("<")[2][:4]
    key = next((key for key in KEYS if MARKS[key] == mark), None)
    return (key, int(number)) if key is not None and number.isascii() and number.isdigit() else None


def standing(made: Path, before: Path) -> int:
    """How many messages stand in a file of SQLite's on leaves of tables that are as and where they were before.

    Looked for by their bytes, and not by what SQLite or a repair makes of them: of a store from which nothing is
    rescued, it is known so whether there was anything to rescue. 0 for a folder.
    """
    if not made.is_file():
        return 0
    data, was = made.read_bytes(), before.read_bytes()
    leaves = [was[at : at + PAGE] for at in range(0, len(was), PAGE) if was[at] == _LEAF]
    whole = [leaf for leaf in leaves if data[(at := was.index(leaf)) : at + PAGE] == leaf]
    begun = re.compile("|".join(f"(?:{mark}) {WORD} <[0-9]{{4}}>" for mark in MARKS.values()).encode())
    return len({one for leaf in whole for one in begun.findall(leaf)})


def length(key: str) -> int:
    """How many messages a session has."""
    return {KEYS[0]: 40, KEYS[1]: 25, KEYS[2]: 6}.get(key, 2)


def make(store: str, folder: Path) -> None:
    """Make the store in the folder."""
    folder.mkdir(parents=True)
    scheme = store.partition("-")[0]
    made = folder / "made"
    backend = open_backend(f"{scheme}:///{made}")
    for key in KEYS:
        for number in range(length(key)):
            backend.append(key, said(key, number))
            if number % 6 == 3:
                backend.append(key, ChatMessage("user", "taken back"))
                backend.remove_last(key)
        backend.update_last(key, said(key, length(key) - 1))
    backend.append("gone", ChatMessage("user", "gone"))
    backend.delete_session("gone")
    backend.set_session_name(KEYS[0], "A name")
    backend.set_session_context(KEYS[1], SessionContext("channel", attributes={"kept": [1, 2]}))
    if store == "sqlite-log":
        _as_a_crash_leaves_it(folder, made)
        backend.close()
        shutil.rmtree(folder / "open")
    else:
        backend.compact(KEYS[2])
        backend.close()


def _as_a_crash_leaves_it(folder: Path, made: Path) -> None:
    """Copies of the files, while they are open, in their place; and those that are open elsewhere."""
    (folder / "open").mkdir()
    for file in sorted(folder.glob("made*")):
        copy = file.read_bytes()
        file.rename(folder / "open" / file.name)
        if not file.name.endswith("-shm"):
            file.write_bytes(copy)
            file.chmod(0o600)
    assert made.exists()
