"""Messages: in order, exactly as they were, refused where they can't be, and shared with nobody."""

import copy
from datetime import UTC, datetime
from typing import Any

from hypothesis import given

from sessionkit import ChatMessage, InvalidMessageError, ToolCall
from sessionkit.testing.suite.base import Backend, SuiteBase, fill, refuses, say, texts
from sessionkit.testing.suite.promises import promise
from sessionkit.testing.suite.values import (
    ELSEWHERE,
    EVERY_FIELD,
    HOSTILE_TEXTS,
    JSON_MESSAGES,
    PROVIDER_MESSAGES,
    REFUSED_MESSAGES,
    TOO_LARGE,
    assert_same,
    nested,
)


class MessagePromises(SuiteBase):
    """`load`, `append` and what a message may hold."""

    @promise("load.unknown-is-empty")
    def test_load_of_an_unknown_session(self, backend: Backend) -> None:
        """`load` gives an empty list for an unknown session, and creates nothing.

        If this fails: a missing session is no error, and reading must not insert it.
        """
        assert backend.load("nobody") == []
        assert backend.list_sessions() == []

    @promise("append.keeps-order")
    def test_append_keeps_order(self, backend: Backend) -> None:
        """`append` adds one message at the end, and `load` gives all of them, oldest first.

        If this fails: positions must sort as numbers, not as texts; 2 comes before 10.
        """
        wanted = [str(i) for i in range(120)]
        for i, content in enumerate(wanted):
            fill(backend, "a", content)
            if i in {0, 1, 9, 10, 99, 119}:
                assert texts(backend.load("a")) == wanted[: i + 1]

    @promise("append.creates-session")
    def test_append_creates_the_session(self, backend: Backend) -> None:
        """`append` creates the session, once.

        If this fails: `list_sessions` must name the session after its first append, and once only after more.
        """
        fill(backend, "a", "one")
        assert backend.list_sessions() == ["a"]
        fill(backend, "a", "two")
        assert backend.list_sessions() == ["a"]

    @promise("append.other-sessions-unchanged")
    def test_append_changes_no_other_session(self, backend: Backend) -> None:
        """An append to one session changes no other.

        If this fails: look at how messages are told apart by session, interleaved ones above all.
        """
        for i in range(12):
            fill(backend, f"s{i % 3}", str(i))
        for s in range(3):
            assert texts(backend.load(f"s{s}")) == [str(i) for i in range(12) if i % 3 == s]

    @promise("append.equal-messages-are-two")
    def test_equal_messages_are_two(self, backend: Backend) -> None:
        """Two equal messages, their ids included, are two messages.

        If this fails: nothing of a message is a key of the store.
        """
        for _ in range(3):
            backend.append("a", say("same", id="1", timestamp=datetime(2024, 1, 1, tzinfo=UTC)))
        assert len(backend.load("a")) == 3

    @promise("messages.round-trip")
    def test_any_message_comes_back_equal(self, backend: Backend) -> None:
        """What goes into `append` comes out of `load` equal: any JSON object that has a text role.

        If this fails: store what `encode_message` gives, and read it with `decode_message`.
        """

        @self.settings(max_examples=4 * self.examples)
        @given(JSON_MESSAGES)
        def check(data: dict[str, Any]) -> None:
            message = ChatMessage.from_dict(data)
            backend.append("a", message)
            found = backend.load("a")[-1]
            assert_same(found, message)
            assert found.to_dict() == data
            backend.remove_last("a")

        check()

    @promise("messages.every-field")
    def test_every_field_comes_back_equal(self, backend: Backend) -> None:
        """Every field of a message comes back equal, of the same type.

        If this fails: `EVERY_FIELD` shows which field is lost or changed.
        """
        backend.append("a", EVERY_FIELD)
        assert_same(backend.load("a")[0], EVERY_FIELD)

    @promise("messages.hostile-texts")
    def test_any_text_comes_back_equal(self, backend: Backend) -> None:
        """Empty strings, NUL, emoji, any line ends, composed and decomposed, any text comes back code point by code
        point.

        If this fails: no normalising, stripping, splitting at line ends or cutting at NUL.
        """
        sent = [
            ChatMessage(text, text, name=text, tool_calls=(ToolCall(text, text, text),), extra={text or "empty": text})
            for text in HOSTILE_TEXTS
        ]
        for message in sent:
            backend.append("a", message)
        for found, wanted in zip(backend.load("a"), sent, strict=True):
            assert_same(found, wanted)

    @promise("messages.numbers")
    def test_numbers_come_back_equal(self, backend: Backend) -> None:
        """Integers of any size up to 4,300 digits, floats, and booleans come back equal, of the same type.

        If this fails: a JSON column or a JavaScript-like store turns big integers into floats, and 1.0 into 1.
        """
        numbers = [2**53 + 1, 2**63, -(2**64) - 1, 10**40, 10**4300 - 1, 1.0, 0.1, 1e300, 5e-324, True, False, 0, 1]
        message = say("a", extra={"numbers": numbers})
        backend.append("a", message)
        assert_same(backend.load("a")[0], message)

    @promise("messages.null-is-not-absent")
    def test_null_is_not_absent(self, backend: Backend) -> None:
        """An explicit null, an empty text and an absent key are not the same, and each comes back as it was.

        If this fails: do not drop what is None or empty when a message is written.
        """
        shapes: list[dict[str, Any]] = [
            {"role": "assistant"},
            {"role": "assistant", "content": None},
            {"role": "assistant", "content": ""},
            {"role": "assistant", "content": []},
            {"role": "assistant", "tool_calls": []},
            {"role": "assistant", "tool_calls": None, "name": "", "usage": {}},
        ]
        for shape in shapes:
            backend.append("a", ChatMessage.from_dict(shape))
        assert [message.to_dict() for message in backend.load("a")] == shapes

    @promise("messages.provider-shapes")
    def test_provider_messages_come_back_equal(self, backend: Backend) -> None:
        """OpenAI chat messages, Anthropic block messages, Responses items and unknown fields come back equal.

        If this fails: keep what you do not know as it came.
        """
        for shape in PROVIDER_MESSAGES:
            backend.append("a", ChatMessage.from_dict(shape))
        assert [message.to_dict() for message in backend.load("a")] == list(PROVIDER_MESSAGES)

    @promise("messages.timestamps")
    def test_timestamps_come_back_equal(self, backend: Backend) -> None:
        """A message's timestamp comes back as the same moment, to the microsecond, in UTC.

        If this fails: do not keep times as floats of seconds, or without their timezone.
        """
        moments = [
            datetime(1, 1, 1, tzinfo=UTC),
            datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
            datetime(2024, 6, 30, 12, 0, 0, 1, tzinfo=ELSEWHERE),
            datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        ]
        for moment in moments:
            backend.append("a", say("a", timestamp=moment))
        found = [message.timestamp for message in backend.load("a")]
        assert found == moments
        assert all(moment is not None and moment.tzinfo is UTC for moment in found)

    @promise("messages.nesting")
    def test_nesting_of_200_levels(self, backend: Backend) -> None:
        """A message nested to 200 levels comes back equal.

        If this fails: the message itself is the first level; see `sessionkit.encode_message`.
        """
        message = say("a", extra={"x": nested(199)})
        backend.append("a", message)
        assert_same(backend.load("a")[0], message)

    @promise("messages.large")
    def test_large_message(self, backend: Backend) -> None:
        """A message of several MiB comes back equal.

        If this fails: look for a limit on the size of a line, a value or a packet.
        """
        message = say("\u00e9" * 2_000_000)
        backend.append("a", message)
        assert backend.load("a") == [message]

    @promise("messages.too-large-refused")
    def test_too_large_message(self, backend: Backend) -> None:
        """More than `max_message_bytes`, 64 MiB unless it is set, is `InvalidMessageError`, and nothing is stored.

        If this fails: `encode_message` refuses it; call it before anything is written.
        """
        with refuses(InvalidMessageError):
            backend.append("a", say("x" * TOO_LARGE))
        assert backend.list_sessions() == []

    @promise("append.refuses-not-json")
    def test_append_refuses_what_json_cannot_hold(self, backend: Backend) -> None:
        """What JSON can't hold exactly is `InvalidMessageError` when it is appended, and nothing is stored.

        If this fails: call `encode_message` before anything is written, and store what it gives.
        """
        fill(backend, "kept", "one")
        for what, make in REFUSED_MESSAGES.items():
            for key in ("kept", "new"):
                with refuses(InvalidMessageError, f"append() of {what}"):
                    backend.append(key, make())
        assert backend.list_sessions() == ["kept"]
        assert texts(backend.load("kept")) == ["one"]

    @promise("append.shares-nothing")
    def test_changing_a_message_after_append(self, backend: Backend) -> None:
        """Changing a message's lists and dicts after `append` changes nothing stored.

        If this fails: the store holds the caller's objects; keep `encode_message` of them instead.
        """
        message = _with_containers()
        wanted = copy.deepcopy(message)
        backend.append("a", message)
        _change_containers(message)
        assert backend.load("a") == [wanted]

    @promise("load.shares-nothing")
    def test_changing_what_load_gave(self, backend: Backend) -> None:
        """Changing the list that `load` gave, or the messages in it, changes nothing stored; nor with timestamps, nor
        with the newest only.

        If this fails: give new objects at each call, those that a cache keeps decoded above all.
        """
        message = _with_containers()
        wanted = copy.deepcopy(message)
        backend.append("a", message)
        for last in (None, None, 1, 1, 5, 5):
            loaded = backend.load("a")
            assert loaded == [wanted]
            _change_containers(loaded[0])
            loaded.append(say("not stored"))
            stored = backend.load_with_timestamps("a", last=last)
            assert [item.message for item in stored] == [wanted]
            _change_containers(stored[0].message)
            stored.clear()


def _with_containers() -> ChatMessage:
    return ChatMessage(
        "assistant",
        [{"type": "text", "text": "a", "deep": {"list": [1]}}],
        tool_calls=(ToolCall("1", "t", "{}", {"x": [1]}),),
        raw_content_blocks=[{"type": "b"}],
        tool_metadata={"m": {"n": 1}},
        extra={"x": {"y": [1]}},
    )


def _change_containers(message: Any) -> None:
    message.content[0]["deep"]["list"].append(2)
    message.content.append({"type": "text", "text": "more"})
    message.tool_calls[0].extra["x"].append(2)
    message.raw_content_blocks.clear()
    message.tool_metadata["m"]["n"] = 2
    message.extra["x"]["y"].append(2)
    message.extra["z"] = 1
