"""Names, agent aliases and contexts."""

from collections.abc import Callable
from typing import Any

import attrs

from sessionkit import InvalidMessageError, SessionContext, SessionMetadata, SessionQuery
from sessionkit.testing.suite.base import Backend, SuiteBase, fill, metadata_of, refuses
from sessionkit.testing.suite.promises import promise
from sessionkit.testing.suite.values import HOSTILE_TEXTS, exact, nested


@attrs.frozen
class _Label:
    """A text that a session is called by: the field of its metadata that holds it, which names its methods too."""

    field: str

    @property
    def methods(self) -> tuple[str, str]:
        """What sets it, and what gets it."""
        return f"set_session_{self.field}", f"get_session_{self.field}"

    def set(self, backend: Backend, text: str, *, key: str = "a") -> None:
        """Set it, or clear it by an empty text."""
        getattr(backend, self.methods[0])(key, text)

    def get(self, backend: Backend, *, key: str = "a") -> str | None:
        """What it is; None where there is none."""
        found: str | None = getattr(backend, self.methods[1])(key)
        return found


_NAME = _Label("name")
_ALIAS = _Label("agent_alias")
_CONTEXT = ("set_session_context",)
_METADATA = ("get_session_metadata",)


class NamingPromises(SuiteBase):
    """`set_session_name`, `set_session_agent_alias`, `set_session_context` and what they set."""

    @promise("name.set-and-get", needs=_NAME.methods)
    def test_name(self, backend: Backend) -> None:
        """`set_session_name` gives a session a name, any text; the last one holds; other sessions keep theirs.

        If this fails: a name is stored as it is, under its session.
        """
        self._check_any_text(backend, _NAME)

    @promise("name.empty-clears", needs=_NAME.methods)
    def test_empty_name_clears(self, backend: Backend) -> None:
        """An empty name clears it: there is none then.

        If this fails: the name is None, not an empty text.
        """
        self._check_empty_clears(backend, _NAME)

    @promise("name.empty-creates-nothing", needs=_NAME.methods)
    def test_clearing_a_name_creates_nothing(self, backend: Backend) -> None:
        """Clearing the name of an unknown session creates nothing.

        If this fails: look whether there is a session to clear it in.
        """
        self._check_clearing_creates_nothing(backend, _NAME)

    @promise("name.in-metadata", needs=_NAME.methods, native=_METADATA)
    def test_name_in_metadata(self, backend: Backend) -> None:
        """The metadata carry the name, and None where it was cleared.

        If this fails: fill `SessionMetadata.name`, in the list too.
        """
        self._check_metadata(backend, _NAME)

    @promise("name.creates-session", needs=_NAME.methods)
    def test_name_creates_the_session(self, backend: Backend) -> None:
        """A name creates the session, without a message.

        If this fails: a session exists from its first append or setter.
        """
        self._check_creates_the_session(backend, _NAME)

    @promise("name.unknown-is-none", needs=_NAME.methods)
    def test_name_of_an_unknown_session(self, backend: Backend) -> None:
        """The name of an unknown session, and of one without, is None.

        If this fails: no name is None, not an empty text, and no error.
        """
        self._check_unknown_is_none(backend, _NAME)

    @promise("alias.set-and-get", needs=_ALIAS.methods)
    def test_alias(self, backend: Backend) -> None:
        """`set_session_agent_alias` says which agent owns the session, any text; the last one holds.

        If this fails: an alias is stored as it is, beside the name.
        """
        self._check_any_text(backend, _ALIAS)

    @promise("alias.empty-clears", needs=_ALIAS.methods)
    def test_empty_alias_clears(self, backend: Backend) -> None:
        """An empty alias clears it.

        If this fails: the alias is None, not an empty text.
        """
        self._check_empty_clears(backend, _ALIAS)

    @promise("alias.empty-creates-nothing", needs=_ALIAS.methods)
    def test_clearing_an_alias_creates_nothing(self, backend: Backend) -> None:
        """Clearing the alias of an unknown session creates nothing.

        If this fails: look whether there is a session to clear it in.
        """
        self._check_clearing_creates_nothing(backend, _ALIAS)

    @promise("alias.in-metadata", needs=_ALIAS.methods, native=_METADATA)
    def test_alias_in_metadata(self, backend: Backend) -> None:
        """The metadata carry the alias, and None where it was cleared.

        If this fails: fill `SessionMetadata.agent_alias`, in the list too.
        """
        self._check_metadata(backend, _ALIAS)

    @promise("alias.creates-session", needs=_ALIAS.methods)
    def test_alias_creates_the_session(self, backend: Backend) -> None:
        """An alias creates the session, without a message.

        If this fails: a session exists from its first append or setter.
        """
        self._check_creates_the_session(backend, _ALIAS)

    @promise("alias.unknown-is-none", needs=_ALIAS.methods)
    def test_alias_of_an_unknown_session(self, backend: Backend) -> None:
        """The alias of an unknown session, and of one without, is None.

        If this fails: no alias is None, not an empty text, and no error.
        """
        self._check_unknown_is_none(backend, _ALIAS)

    def _check_any_text(self, backend: Backend, label: _Label) -> None:
        label.set(backend, "unchanged", key="other")
        for text in filter(None, HOSTILE_TEXTS):
            label.set(backend, text)
            assert label.get(backend) == text
        assert label.get(backend, key="other") == "unchanged"

    def _check_empty_clears(self, backend: Backend, label: _Label) -> None:
        label.set(backend, "set")
        label.set(backend, "")
        assert label.get(backend) is None

    def _check_clearing_creates_nothing(self, backend: Backend, label: _Label) -> None:
        label.set(backend, "")
        assert self.settled(backend.list_sessions) == []

    def _check_metadata(self, backend: Backend, label: _Label) -> None:
        for text in ("set", ""):
            label.set(backend, text)
            found = [metadata_of(backend, "a"), *self.settled(backend.list_sessions_with_metadata)]
            assert [getattr(metadata, label.field) for metadata in found] == [text or None] * 2

    def _check_creates_the_session(self, backend: Backend, label: _Label) -> None:
        label.set(backend, "set")
        assert self.settled(backend.list_sessions) == ["a"]
        assert backend.load("a") == []

    def _check_unknown_is_none(self, backend: Backend, label: _Label) -> None:
        fill(backend, "a", "one")
        assert label.get(backend, key="nobody") is None
        assert label.get(backend) is None

    @promise("name.and-alias-apart", needs=(*_NAME.methods, *_ALIAS.methods, *_CONTEXT), native=_METADATA)
    def test_name_alias_and_context_are_apart(self, backend: Backend) -> None:
        """Name, alias and context are set apart: setting or clearing one changes no other.

        If this fails: write only the field that is set.
        """
        backend.set_session_name("a", "name")
        backend.set_session_agent_alias("a", "alias")
        backend.set_session_context("a", SessionContext("c", "r", "s", {"x": 1}))
        assert _named(backend) == ("name", "alias", "c", "r", "s", {"x": 1})
        backend.set_session_name("a", "")
        assert _named(backend) == (None, "alias", "c", "r", "s", {"x": 1})
        backend.set_session_agent_alias("a", "")
        assert _named(backend) == (None, None, "c", "r", "s", {"x": 1})

    @promise("name.outlives-messages", needs=(*_NAME.methods, *_ALIAS.methods, *_CONTEXT), native=_METADATA)
    def test_names_outlive_messages(self, backend: Backend) -> None:
        """Name, alias and context stay whatever happens to the messages.

        If this fails: changes of messages must not rewrite the rest of the session.
        """
        backend.set_session_name("a", "name")
        backend.set_session_agent_alias("a", "alias")
        backend.set_session_context("a", SessionContext("c", "r", "s", {"x": 1}))
        fill(backend, "a", "one", "two")
        backend.remove_last("a")
        backend.update_last("a", backend.load("a")[0])
        backend.compact("a")
        backend.remove_last("a")
        fill(backend, "a", "three")
        assert _named(backend) == ("name", "alias", "c", "r", "s", {"x": 1})

    @promise("context.none-leaves", needs=_CONTEXT, native=_METADATA)
    def test_context_none_leaves_a_field(self, backend: Backend) -> None:
        """In a context, None leaves a field as it is, each by itself.

        If this fails: update only the fields that are given.
        """
        backend.set_session_context("a", SessionContext("c", "r", "s"))
        backend.set_session_context("a", SessionContext(room_id="r2"))
        assert _context(backend) == ("c", "r2", "s")
        backend.set_session_context("a", SessionContext(attributes={"x": 1}))
        assert _context(backend) == ("c", "r2", "s")

    @promise("context.empty-text-clears", needs=_CONTEXT, native=_METADATA)
    def test_context_empty_text_clears_a_field(self, backend: Backend) -> None:
        """In a context, an empty text clears a field, each by itself.

        If this fails: the field is None then, not an empty text.
        """
        backend.set_session_context("a", SessionContext("c", "r", "s"))
        backend.set_session_context("a", SessionContext(channel_id="", sender_id=""))
        assert _context(backend) == (None, "r", None)

    @promise("context.any-text", needs=_CONTEXT, native=_METADATA)
    def test_context_takes_any_text(self, backend: Backend) -> None:
        """The fields of a context hold any text exactly.

        If this fails: no normalising, trimming or cutting.
        """
        for text in filter(None, HOSTILE_TEXTS):
            backend.set_session_context("a", SessionContext(text, text, text))
            assert _context(backend) == (text, text, text)

    @promise("context.attributes-merge", needs=_CONTEXT, native=_METADATA)
    def test_attributes_merge(self, backend: Backend) -> None:
        """Attributes merge key by key at the top level: a nested object is replaced, not merged.

        If this fails: merge only the outermost keys.
        """
        backend.set_session_context("a", SessionContext(attributes={"a": 1, "b": {"x": 1, "y": 2}}))
        backend.set_session_context("a", SessionContext(attributes={"b": {"x": 3}, "c": [1]}))
        assert _attributes(backend) == {"a": 1, "b": {"x": 3}, "c": [1]}

    @promise("context.none-removes-attribute", needs=_CONTEXT, native=_METADATA)
    def test_none_removes_an_attribute(self, backend: Backend) -> None:
        """An attribute whose value is None removes its key; a None deeper inside is a value.

        If this fails: the key is gone, it does not hold null; and only at the top level.
        """
        backend.set_session_context("a", SessionContext(attributes={"a": 1, "b": {"x": None}, "c": [None]}))
        backend.set_session_context("a", SessionContext(attributes={"a": None, "unknown": None}))
        assert _attributes(backend) == {"b": {"x": None}, "c": [None]}

    @promise("context.attributes-exact", needs=_CONTEXT, native=_METADATA)
    def test_attributes_come_back_equal(self, backend: Backend) -> None:
        """Attributes hold any JSON exactly: big integers, nested objects, any text as key and value.

        If this fails: encode them as messages are.
        """
        attributes: dict[str, Any] = {
            **{text: text for text in HOSTILE_TEXTS},
            "numbers": [2**64, 10**40, 1.0, True, 1, 0, False],
            "deep": {"a": {"b": [{"c": None}]}},
            "empty": [{}, [], ""],
        }
        backend.set_session_context("a", SessionContext(attributes=attributes))
        assert exact(_attributes(backend)) == exact(attributes)

    @promise("context.creates-session", needs=_CONTEXT, native=_METADATA)
    def test_context_creates_the_session(self, backend: Backend) -> None:
        """A context creates the session.

        If this fails: a session exists from its first append or setter.
        """
        backend.set_session_context("a", SessionContext(channel_id="c"))
        backend.set_session_context("b", SessionContext(attributes={"x": 1}))
        assert sorted(self.settled(backend.list_sessions)) == ["a", "b"]

    @promise("context.empty-creates-nothing", needs=_CONTEXT, native=_METADATA)
    def test_empty_context_creates_nothing(self, backend: Backend) -> None:
        """An empty context creates nothing.

        If this fails: look whether there is anything to set before the session is created.
        """
        backend.set_session_context("a", SessionContext())
        assert self.settled(backend.list_sessions) == []

    @promise("context.clearing-creates-nothing", needs=_CONTEXT, native=_METADATA)
    def test_clearing_context_creates_nothing(self, backend: Backend) -> None:
        """A context that only clears, where there is no session, creates nothing.

        If this fails: `""` and an attribute's None set nothing; look for what does before the session is created.
        """
        backend.set_session_context("a", SessionContext("", "", ""))
        backend.set_session_context("a", SessionContext(attributes={"x": None}))
        assert self.settled(backend.list_sessions) == []

    @promise("naming.clearing-creates-nothing", needs=(*_NAME.methods, *_ALIAS.methods, *_CONTEXT))
    def test_clearing_what_is_not_there_creates_nothing(self, backend: Backend) -> None:
        """Clearing a name, an alias, a field of a context or an attribute that is not there creates nothing.

        If this fails: look whether there is anything to set before the session is created.
        """
        backend.set_session_name("a", "")
        backend.set_session_agent_alias("b", "")
        backend.set_session_context("c", SessionContext("", "", ""))
        backend.set_session_context("d", SessionContext(attributes={"x": None}))
        assert self.settled(backend.list_sessions) == []

    @promise("context.refuses-not-json", needs=_CONTEXT, native=_METADATA)
    def test_context_refuses_what_json_cannot_hold(self, backend: Backend) -> None:
        """An attribute that JSON can't hold exactly is `InvalidMessageError`, and nothing is changed.

        If this fails: check attributes, as messages are, before anything is written.
        """
        backend.set_session_context("a", SessionContext("c", attributes={"x": 1}))
        bad = (float("nan"), b"a", (1,), {1: 1}, "\ud800", object(), 10**4300, nested(10_000))
        for value in bad:
            for key in ("a", "new"):
                with refuses(InvalidMessageError):
                    backend.set_session_context(key, SessionContext("d", attributes={"x": value}))
        assert self.settled(backend.list_sessions) == ["a"]
        assert _context(backend) == ("c", None, None)
        assert _attributes(backend) == {"x": 1}

    @promise("context.shares-nothing", needs=_CONTEXT, native=_METADATA)
    def test_attributes_are_not_shared(self, backend: Backend) -> None:
        """Changing attributes after they were given, or those that metadata gave, changes nothing stored.

        If this fails: keep the encoded attributes, and give new objects at each call.
        """
        attributes: dict[str, Any] = {"x": {"y": [1]}}
        backend.set_session_context("a", SessionContext(attributes=attributes))
        attributes["x"]["y"].append(2)
        attributes["z"] = 1
        if self.offers(backend, "set_session_state"):
            backend.set_session_state("a", "running", "t")
        self.tick()
        ways: dict[str, Callable[[], SessionMetadata]] = {
            "get_session_metadata": lambda: metadata_of(backend, "a"),
            "list_sessions_with_metadata": lambda: backend.list_sessions_with_metadata()[0],
            "search": lambda: backend.search(SessionQuery())[0],
            "list_running_sessions": lambda: backend.list_running_sessions()[0],
            "list_stuck_sessions": lambda: backend.list_stuck_sessions(0)[0],
        }
        self.settle()
        for name, read in ways.items():
            for _ in range(2 if self.offers(backend, name) else 0):
                given: Any = read().attributes
                assert given == {"x": {"y": [1]}}, f"{name} gave what an earlier caller changed"
                given["x"]["y"].append(3)


def _context(backend: Backend) -> tuple[str | None, ...]:
    metadata = metadata_of(backend, "a")
    return metadata.channel_id, metadata.room_id, metadata.sender_id


def _attributes(backend: Backend) -> dict[str, Any]:
    return dict(metadata_of(backend, "a").attributes)


def _named(backend: Backend) -> tuple[Any, ...]:
    return (
        backend.get_session_name("a"),
        backend.get_session_agent_alias("a"),
        *_context(backend),
        _attributes(backend),
    )
