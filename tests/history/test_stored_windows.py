"""Windows of what a store has: those of the list, at a cost of the window; and windows of real conversations."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionkit import ChatMessage, OpenBackend, TimestampedMessage, open_backend
from sessionkit.history import windows
from sessionkit.history.windows import window
from sessionkit_memory import MemoryBackend
from tests.conversations import conversations
from tests.history.asking import asked, limits, untimed
from tests.history.dialogues import (
    Piece,
    accepts,
    answering,
    begun_by_system,
    calling,
    calls_in,
    flat,
    length,
    loose,
)
from tests.toys import DictBackend

needs_conversations = pytest.mark.skipif(not conversations(), reason="no real conversations here")


def store(backend: Any, messages: Iterable[ChatMessage], key: str = "s") -> None:
    """Make these the messages of a session, and no others."""
    backend.clear_messages(key)
    backend.write(key, append=messages)


class Recording(MemoryBackend):
    """Counts the messages that it hands out, and does something in between where it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.handed_out = 0
        self.between: list[Callable[[], object]] = []

    def _seen(self, found: list[TimestampedMessage]) -> list[TimestampedMessage]:
        self.handed_out += len(found)
        if self.between:
            self.between.pop()()
        return found

    def load(self, session_key: str, /) -> list[ChatMessage]:
        """Counted."""
        return [stored.message for stored in self._seen(super().load_with_timestamps(session_key))]

    def load_with_timestamps(self, session_key: str, /, *, last: int | None = None) -> list[TimestampedMessage]:
        """Counted."""
        return self._seen(super().load_with_timestamps(session_key, last=last))

    def load_first(self, session_key: str, count: int, /) -> list[TimestampedMessage]:
        """Counted."""
        return self._seen(super().load_first(session_key, count))


@pytest.fixture(name="short_tails", params=[True, False])
def _short_tails(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Tails of one message at first, so that short conversations take several; or as they are."""
    if request.param:
        monkeypatch.setattr(windows, "_FIRST_TAIL", 1)
        monkeypatch.setattr(windows, "_SLACK", 1)
    return bool(request.param)


@pytest.mark.usefixtures("short_tails")
def test_the_store_gives_what_the_list_does(backend: OpenBackend) -> None:
    """For every session whose system messages stand at its beginning, and every limit."""

    @untimed
    @given(begun_by_system, limits, limits)
    def check(pieces: list[Piece], most: int | None, tokens: int | None) -> None:
        messages = flat(pieces)
        store(backend, messages)
        assert asked(backend, most, tokens, "s") == asked(messages, most, tokens)

    check()


@pytest.mark.usefixtures("short_tails")
def test_a_provider_accepts_what_the_store_gives(backend: OpenBackend) -> None:
    """Wherever system messages stand and whatever has become of the conversation; those at its beginning are there."""

    @untimed
    @given(loose, limits, limits)
    def check(messages: list[ChatMessage], most: int | None, tokens: int | None) -> None:
        store(backend, messages)
        found = asked(backend, most, tokens, "s")
        if found is None:
            assert asked(messages, most, tokens) is None
            return
        assert accepts(found)
        assert most is None or len(found) <= most
        assert tokens is None or sum(map(length, found)) <= tokens
        first = next((i for i, one in enumerate(messages) if one.role not in {"system", "developer"}), len(messages))
        assert found[:first] == messages[:first]

    check()


def test_an_unknown_session_has_no_messages(backend: OpenBackend) -> None:
    """A session that is not there gives no messages, and is not created by looking at it."""
    assert window(backend, "s") == window(backend, "s", max_messages=5) == []
    assert window(backend, session_key="s", max_tokens=5, count_tokens=length) == []
    assert backend.list_sessions() == []


def test_a_limit_may_be_larger_than_any_session(backend: OpenBackend) -> None:
    """A limit that no store could count to gives all, rather than an error of the store's."""
    store(backend, [ChatMessage("user", "q")])
    assert window(backend, "s", max_messages=10**30) == [ChatMessage("user", "q")]


def test_system_messages_in_the_tail_are_kept_and_those_further_up_not_looked_for() -> None:
    """From a store, system messages are found at the beginning and in the tail, and from a list wherever they stand."""
    backend = MemoryBackend()
    question = ChatMessage("user", "q")
    near, far = ChatMessage("system", "near"), ChatMessage("system", "far")
    messages = [ChatMessage("system", "first"), *[question] * 50, far, *[question] * 50, near, question, question]
    store(backend, messages)
    assert window(backend, "s", max_messages=3) == [messages[0], near, question]
    assert window(messages, max_messages=3) == [messages[0], far, near]


def test_many_system_messages_at_the_beginning_are_all_kept() -> None:
    """System messages at the beginning are there once each, even where the tail begins among them."""
    question = ChatMessage("user", "q")
    for number in (1, 3, 4, 5, 40):
        for more in (1, 2, 10, 40):
            backend = Recording()
            messages = [ChatMessage("system", str(place)) for place in range(number)] + [question] * more
            store(backend, messages)
            for room in range(more + 1):
                assert window(backend, "s", max_messages=number + room) == messages[: number + room]


def test_a_window_costs_what_it_holds() -> None:
    """However long the session is: some messages more than were asked for, and the beginning."""
    for number in (1_000, 4_000):
        backend = Recording()
        turn = [ChatMessage("user", "12345"), calling("typed", ["a"], ""), *answering("tool", ["a"])]
        store(backend, [ChatMessage("system", "12345"), *turn * number])
        for most in (0, 1, 4, 20, 100):
            backend.handed_out = 0
            found = asked(backend, most, None, "s")
            assert backend.handed_out <= most + 8 + 4
            assert found is None or most - 3 < len(found) <= most
        for tokens in (5, 100, 2_000):
            backend.handed_out = 0
            found = window(backend, "s", max_tokens=tokens, count_tokens=length)
            reads = len(found).bit_length()
            assert backend.handed_out <= max(32, 4 * len(found)) + 4 * reads
            assert len(found) > tokens / 20


def test_both_limits_cost_what_the_lower_one_does() -> None:
    """A few tokens are not looked for in a great many messages."""
    backend = Recording()
    store(backend, [ChatMessage("user", "12345")] * 3_000)
    assert len(window(backend, "s", max_messages=2_000, max_tokens=50, count_tokens=length)) == 10
    assert backend.handed_out <= 32 + 4
    backend.handed_out = 0
    assert len(window(backend, "s", max_messages=2, max_tokens=50_000, count_tokens=length)) == 2
    assert backend.handed_out <= 2 + 8 + 4


def test_a_backend_without_a_first_is_read_whole() -> None:
    """Where only all can be read, the window is that of the list all the same."""
    backend = DictBackend()
    messages = [ChatMessage("system", "s"), *[ChatMessage("user", str(number)) for number in range(100)]]
    for message in messages:
        backend.append("s", message)
    assert window(backend, "s", max_messages=3) == [messages[0], *messages[-2:]]
    assert window(backend, "s") == messages


@untimed
@given(
    begun_by_system,
    limits,
    limits,
    st.lists(st.sampled_from(["append", "remove_last", "clear", "delete", "anew"]), max_size=6),
)
def test_others_may_write_between_the_reads(
    pieces: list[Piece], most: int | None, tokens: int | None, changes: list[str]
) -> None:
    """The answer is still one that a provider accepts and that keeps to the limits, of messages that were there."""
    backend = Recording()
    messages = flat(pieces)
    store(backend, messages)
    later = [ChatMessage("system", "later"), ChatMessage("user", "later"), calling("typed", ["a"], "later")]
    does: dict[str, Callable[[], object]] = {
        "append": lambda: backend.write("s", append=later),
        "remove_last": lambda: backend.remove_last("s"),
        "clear": lambda: backend.clear_messages("s"),
        "delete": lambda: backend.delete_session("s"),
        "anew": lambda: store(backend, later),
    }
    backend.between = [does[change] for change in changes]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(windows, "_FIRST_TAIL", 1)
        patched.setattr(windows, "_SLACK", 1)
        found = asked(backend, most, tokens, "s")
    if found is not None:
        assert accepts(found)
        assert most is None or len(found) <= most
        assert tokens is None or sum(map(length, found)) <= tokens
        assert all(message in [*messages, *later] for message in found)


# -- the real conversations -------------------------------------------------------------------------------------------


def real(share: slice) -> list[list[ChatMessage]]:
    """The messages of some of the conversations."""
    return [[ChatMessage.from_dict(data) for data in messages] for messages in list(conversations().values())[share]]


def the_largest(
    whole: list[ChatMessage], sound: list[bool], size: Callable[[int], int], limit: int
) -> list[ChatMessage]:
    """The window of a conversation that one system message begins: the longest end of it that is sound and fits."""
    cut = next(cut for cut in range(1, len(whole) + 1) if sound[cut] and size(cut) <= limit)
    users = [place for place in range(cut, len(whole)) if whole[place].role == "user"]
    return [whole[0], *whole[users[0] if cut > 1 and users else cut :]]


def check_every_window(messages: list[ChatMessage], source: Callable[[list[ChatMessage]], Sequence[Any]]) -> int:
    """Each prefix of a conversation, with each number of messages and some of tokens; gives how many windows it was."""
    checked = 0
    for end in range(1, len(messages) + 1):
        prefix = messages[:end]
        asks = source(prefix)
        # A call at the very end has no result yet, and is left out.
        whole = prefix[:-1] if calls_in(prefix[-1].to_dict()) else prefix
        sound = [accepts(whole[cut:]) for cut in range(len(whole) + 1)]
        tokens = [sum(map(length, whole[cut:])) + length(whole[0]) for cut in range(len(whole) + 1)]
        for most in range(1, end + 2):
            found = window(*asks, max_messages=most)
            assert found == the_largest(whole, sound, lambda cut: 1 + len(whole) - cut, most)  # noqa: B023 -- called at once
            checked += 1
        for most in tokens[:: max(1, end // 5)]:
            for limit in (most, most + 1):
                found = window(*asks, max_tokens=limit, count_tokens=length)
                assert found == the_largest(whole, sound, tokens.__getitem__, limit)
                checked += 1
    return checked


@needs_conversations
def test_every_window_of_real_conversations() -> None:
    """Of every prefix, in any size: the longest end that a provider accepts and that fits, from a list."""
    assert sum(check_every_window(messages, lambda prefix: [prefix]) for messages in real(slice(0, None, 5))) > 6_000


def by_store(backend: Any) -> Callable[[list[ChatMessage]], Sequence[Any]]:
    """Keep each prefix in a store, and look there."""

    def keep(prefix: list[ChatMessage]) -> Sequence[Any]:
        store(backend, prefix)
        return backend, "s"

    return keep


@needs_conversations
@pytest.mark.usefixtures("short_tails")
def test_windows_of_real_conversations_from_the_store() -> None:
    """From a store, every prefix in any size gives the longest end that a provider accepts and that fits, too."""
    with open_backend("memory://") as backend:
        for messages in real(slice(2, None, 13)):
            check_every_window(messages, by_store(backend))


@pytest.mark.slow
@needs_conversations
@pytest.mark.timeout(1200)
def test_every_window_of_all_real_conversations(backend: OpenBackend) -> None:
    """Of every prefix of all of them, in any size, from a list and from every store."""
    for messages in real(slice(None)):
        check_every_window(messages, lambda prefix: [prefix])
        check_every_window(messages, by_store(backend))
