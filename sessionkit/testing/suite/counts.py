"""Counts of messages, turns and tool calls, after every kind of change."""

from sessionkit import ChatMessage, SessionMetadata, TimestampedMessage, ToolCall
from sessionkit.testing.suite.base import Backend, SuiteBase, say
from sessionkit.testing.suite.promises import promise

CALLS = ChatMessage("assistant", None, tool_calls=(ToolCall("1", "a", "{}"), ToolCall("2", "b", "{}")))
BLOCKS = ChatMessage(
    "assistant",
    [
        {"type": "text", "text": "hm"},
        {"type": "tool_use", "id": "1", "name": "a", "input": {}},
        {"type": "tool_use", "id": "2", "name": "b", "input": {}},
        {"type": "tool_use", "id": "3", "name": "c", "input": {}},
    ],
)
ANSWER = say("answer", "assistant")
EMPTY = say("", "assistant")


class CountPromises(SuiteBase):
    """`message_count`, `turn_count` and `tool_call_count` of a session's metadata."""

    @promise("counts.append", needs=("get_session_metadata",))
    def test_counts_after_append(self, backend: Backend) -> None:
        """Counts equal what counting `load` gives after each `append`, whatever the message is.

        If this fails: a turn is an assistant's message whose content is not None, were it empty; a tool call is one of
        `tool_calls` or a `tool_use` block.
        """
        for message in (
            say(),
            ANSWER,
            EMPTY,
            CALLS,
            BLOCKS,
            say("result", "tool"),
            say("rules", "system"),
            say("", "user"),
        ):
            backend.append("a", message)
            self._check(backend)
        assert self._counts(backend) == (8, 3, 5)

    @promise("counts.remove_last", needs=("get_session_metadata",))
    def test_counts_after_remove_last(self, backend: Backend) -> None:
        """Counts equal what counting `load` gives after each `remove_last`.

        If this fails: subtract what the removed message counted for.
        """
        for message in (BLOCKS, EMPTY, CALLS, ANSWER, say()):
            backend.append("a", message)
        for _ in range(5):
            backend.remove_last("a")
            self._check(backend)

    @promise("counts.update_last", needs=("get_session_metadata", "update_last"))
    def test_counts_after_update_last(self, backend: Backend) -> None:
        """Counts equal what counting `load` gives after each `update_last`.

        If this fails: take the old message out of the counts, and the new one into them.
        """
        backend.append("a", ANSWER)
        backend.append("a", say())
        for message in (ANSWER, CALLS, BLOCKS, say(), BLOCKS, EMPTY):
            backend.update_last("a", message)
            self._check(backend)

    @promise("counts.clear_messages", needs=("get_session_metadata", "clear_messages"))
    def test_counts_after_clear_messages(self, backend: Backend) -> None:
        """Counts are 0 after `clear_messages`, and right again after the next messages.

        If this fails: all three counts start again.
        """
        for message in (BLOCKS, CALLS, ANSWER):
            backend.append("a", message)
        backend.clear_messages("a")
        self._check(backend)
        backend.append("a", BLOCKS)
        self._check(backend)

    @promise("counts.delete_session", needs=("get_session_metadata", "delete_session"))
    def test_counts_after_delete_session(self, backend: Backend) -> None:
        """Counts start again where a session was deleted and written anew.

        If this fails: a deleted session's record must go with it.
        """
        for message in (BLOCKS, CALLS, ANSWER):
            backend.append("a", message)
        backend.delete_session("a")
        backend.append("a", CALLS)
        self._check(backend)

    @promise("counts.compact", needs=("get_session_metadata", "compact"))
    def test_counts_after_compact(self, backend: Backend) -> None:
        """Counts are the same after `compact`, and right after what follows it.

        If this fails: count what is kept, not what was superseded.
        """
        for message in (BLOCKS, CALLS, ANSWER, BLOCKS):
            backend.append("a", message)
        backend.remove_last("a")
        backend.update_last("a", CALLS)
        backend.compact("a")
        self._check(backend)
        backend.remove_last("a")
        self._check(backend)

    @promise("counts.write", needs=("get_session_metadata", "SupportsWrite"))
    def test_counts_after_write(self, backend: Backend) -> None:
        """Counts equal what counting `load` gives after each `write`.

        If this fails: all that is dropped and all that is appended counts.
        """
        backend.write("a", append=[BLOCKS, CALLS, ANSWER, say(), BLOCKS])
        self._check(backend)
        backend.write("a", drop_last=2, append=[EMPTY])
        self._check(backend)
        backend.write("a", drop_last=4)
        self._check(backend)

    @promise("counts.restore", needs=("get_session_metadata", "SupportsRestore"))
    def test_counts_after_restore(self, backend: Backend) -> None:
        """Counts are those of the restored messages, and right after what follows.

        If this fails: count what is restored; the given metadata may be wrong.
        """
        backend.restore(
            "a", [TimestampedMessage(m) for m in (BLOCKS, CALLS, ANSWER)], SessionMetadata("a", message_count=99)
        )
        self._check(backend)
        backend.remove_last("a")
        self._check(backend)

    def _check(self, backend: Backend) -> None:
        """The counts equal what counting `load` gives, here and in the list."""
        messages = backend.load("a")
        blocks = [block for m in messages if isinstance(m.content, list) for block in m.content]
        expected = (
            len(messages),
            sum(m.role == "assistant" and m.content is not None for m in messages),
            sum(len(m.tool_calls) for m in messages) + sum(block["type"] == "tool_use" for block in blocks),
        )
        assert self._counts(backend) == expected
        listed = [m for m in self.settled(backend.list_sessions_with_metadata) if m.key == "a"]
        assert [(m.message_count, m.turn_count, m.tool_call_count) for m in listed] == [expected]

    def _counts(self, backend: Backend) -> tuple[int, int, int]:
        metadata = backend.get_session_metadata("a")
        if metadata is None:
            assert not self.is_native(backend, "get_session_metadata"), "the session exists, but its metadata do not"
            metadata = SessionMetadata("a")
        return metadata.message_count, metadata.turn_count, metadata.tool_call_count
