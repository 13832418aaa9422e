"""Session keys: any text within bounds, told apart code point by code point, and never a path."""

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sessionkit import (
    InvalidSessionKeyError,
    SessionContext,
    SessionMetadata,
    SessionQuery,
    SessionState,
    UnsupportedFeatureWarning,
)
from sessionkit.testing.suite.base import Backend, SuiteBase, fill, metadata_of, refuses, say, texts
from sessionkit.testing.suite.promises import promise
from sessionkit.testing.suite.values import ALIKE_KEYS, HOSTILE_KEYS, REFUSED_KEYS

BY_KEY: dict[str, Callable[[Backend, Any], Any]] = {
    "load": lambda backend, key: backend.load(key),
    "append": lambda backend, key: backend.append(key, say()),
    "remove_last": lambda backend, key: backend.remove_last(key),
    "load_with_timestamps": lambda backend, key: backend.load_with_timestamps(key),
    "update_last": lambda backend, key: backend.update_last(key, say()),
    "compact": lambda backend, key: backend.compact(key),
    "clear_messages": lambda backend, key: backend.clear_messages(key),
    "delete_session": lambda backend, key: backend.delete_session(key),
    "set_session_name": lambda backend, key: backend.set_session_name(key, "n"),
    "get_session_name": lambda backend, key: backend.get_session_name(key),
    "set_session_agent_alias": lambda backend, key: backend.set_session_agent_alias(key, "a"),
    "get_session_agent_alias": lambda backend, key: backend.get_session_agent_alias(key),
    "set_session_context": lambda backend, key: backend.set_session_context(key, SessionContext("c")),
    "get_session_metadata": lambda backend, key: backend.get_session_metadata(key),
    "set_session_state": lambda backend, key: backend.set_session_state(key, "idle"),
    "get_session_state": lambda backend, key: backend.get_session_state(key),
    "SupportsWrite": lambda backend, key: backend.write(key, append=[say()]),
    "SupportsTurns": lambda backend, key: backend.begin_turn(key, "t"),
    "SupportsTurnState": lambda backend, key: backend.set_turn_state(key, "t", "running"),
    "SupportsFirst": lambda backend, key: backend.load_first(key, 2),
    "SupportsRestore": lambda backend, key: backend.restore(key, [], SessionMetadata("a")),
}
"""A call of every method, and of every optional protocol, that takes a session key, by its name.

`sessionkit.testing.suite.honesty.CALLS` has those without a key too. Whoever checks something of every method goes
through these, rather than through a list of their own.
"""


class KeyPromises(SuiteBase):
    """What a session key may be."""

    @promise("keys.distinct")
    def test_every_key_is_a_session_of_its_own(self, backend: Backend) -> None:
        """Keys are compared code point by code point: `a/../b`, `CON`, composed and decomposed, 'A' and 'a' all differ.

        If this fails: no folding, normalising, trimming or cutting; a file name or a column's collation does it
        unasked.
        """
        for i, key in enumerate(HOSTILE_KEYS):
            fill(backend, key, str(i))
        for i, key in enumerate(HOSTILE_KEYS):
            assert texts(backend.load(key)) == [str(i)], f"{key[:40]!r} shares its messages"

    @promise("keys.listed-exactly")
    def test_keys_are_listed_as_given(self, backend: Backend) -> None:
        """`list_sessions` names every key exactly as it was given, once.

        If this fails: what the store makes of a key must be undone exactly.
        """
        for key in HOSTILE_KEYS:
            fill(backend, key, "one")
        assert sorted(self.settled(backend.list_sessions)) == sorted(HOSTILE_KEYS)
        listed = self.settled(backend.list_sessions_with_metadata)
        assert sorted(metadata.key for metadata in listed) == sorted(HOSTILE_KEYS)

    @promise("keys.changed-apart")
    def test_changing_one_changes_no_other(self, backend: Backend) -> None:
        """Changing or deleting one session changes no other, however alike their keys are.

        If this fails: look for a LIKE, a prefix or a pattern where equality is meant.
        """
        alike = ("a", "A", "a%", "a_", "a*", "a/", "a/b", "aa", "\u00e4", "a\u0308", "a ", "a.", "%", "_", "*")
        for victim in alike:
            for key in alike:
                fill(backend, key, key)
            backend.remove_last(victim)
            backend.delete_session(victim)
            for key in alike:
                assert texts(backend.load(key)) == ([] if key == victim else [key]), f"{victim!r} changed {key!r}"
            for key in alike:
                backend.clear_messages(key)

    @promise("keys.named-apart")
    def test_every_key_is_named_apart(self, backend: Backend) -> None:
        """Keys are all different sessions for whatever is set of them: names, aliases, contexts and states.

        If this fails: what stands in a table of its own needs the whole key there too, compared as it is.
        """
        said: list[tuple[str, Callable[[str, str], Any], Callable[[str], Any]]] = [
            ("set_session_name", backend.set_session_name, backend.get_session_name),
            ("set_session_agent_alias", backend.set_session_agent_alias, backend.get_session_agent_alias),
            ("set_session_state", backend.set_session_state, backend.get_session_state),
            (
                "set_session_context",
                lambda key, text: backend.set_session_context(key, SessionContext(text)),
                lambda key: metadata_of(backend, key).channel_id,
            ),
        ]
        offered = [each for each in said if self.offers(backend, each[0])]
        if not offered:
            self.not_offered("anything that can be set")
        for name, set_to, get in offered:
            for i, key in enumerate(ALIKE_KEYS):
                set_to(key, f"text {i}")
            for i, key in enumerate(ALIKE_KEYS):
                found = get(key)
                text = found.state if isinstance(found, SessionState) else found
                assert text == f"text {i}", f"{name} of another key reached {key[-40:]!r}"

    @promise("keys.found-apart", needs=("search",))
    def test_every_key_is_found_apart(self, backend: Backend) -> None:
        """Keys are all different sessions for a search, which gives each of them exactly.

        If this fails: an index must name sessions by their whole key, or by a number that stands for it.
        """
        for i, key in enumerate(ALIKE_KEYS):
            fill(backend, key, f"word{i} common")
        self.settle()
        for i, key in enumerate(ALIKE_KEYS):
            assert [metadata.key for metadata in backend.search(SessionQuery(f"word{i}"))] == [key]
        assert sorted(metadata.key for metadata in backend.search(SessionQuery("common"))) == sorted(ALIKE_KEYS)

    @promise("keys.any-text")
    def test_any_text_is_a_key(self, backend: Backend) -> None:
        """Any text of 1 to 1,024 UTF-8 bytes without NUL is a key.

        If this fails: hold long and odd keys by a reversible encoding, or by a number that stands for them.
        """

        @self.settings()
        @given(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=300).filter(
                lambda key: len(key.encode()) <= 1024
            )
        )
        def check(key: str) -> None:
            already = len(backend.load(key))
            backend.append(key, say(key))
            assert texts(backend.load(key)) == [key] * (already + 1)
            assert key in backend.list_sessions()

        check()

    @promise("keys.refused")
    def test_what_is_no_key(self, backend: Backend) -> None:
        """Anything else (empty, too long, NUL, a lone surrogate, no text) is `InvalidSessionKeyError`, before anything
        is touched.

        If this fails: every method calls `check_session_key` first.
        """
        for name, call in BY_KEY.items():
            if not self.offers(backend, name):
                continue
            for key in REFUSED_KEYS:
                with refuses(InvalidSessionKeyError, f"{name} of the key {str(key)[:40]!r}"):
                    call(backend, key)
        assert backend.list_sessions() == []

    @promise("keys.never-a-path")
    def test_a_key_is_no_path(self, backend: Backend) -> None:
        """A key never becomes a path outside the store.

        If this fails: encode separators and dots; never join a key to a path as it is.
        """
        with tempfile.TemporaryDirectory() as folder:
            mark = f"sessionkit-{Path(folder).name}"
            here = Path.cwd()
            tricks = [str(Path(folder, mark)), *(f"{'../' * up}{mark}" for up in range(12)), f"..\\{mark}", f"./{mark}"]
            for key in tricks:
                fill(backend, key, "one")
                backend.compact(key)
            outside = [Path(folder), here, *here.parents]
            found = [str(path) for place in outside for path in _inside(place) if mark in path.name]
            for key in tricks:
                backend.delete_session(key)
        assert found == []

    @promise("reading.creates-nothing")
    def test_reading_creates_nothing(self, backend: Backend) -> None:
        """Reading what is not there, clearing it, compacting it or deleting it creates nothing.

        If this fails: only a first append or setter creates a session.
        """
        reading = [name for name in BY_KEY if not name.startswith(("append", "set_", "Supports"))]
        reading += ["SupportsFirst"] * self.offers(backend, "SupportsFirst")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnsupportedFeatureWarning)
            for name in reading:
                BY_KEY[name](backend, "nobody")
                assert backend.list_sessions() == [], f"{name} created a session"
        assert backend.list_sessions_with_metadata() == []


def _inside(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []
