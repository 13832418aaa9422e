"""Windows: what providers accept, as much of it as fits, from a list and from a store."""

from collections.abc import Callable, Iterable, Sequence
from itertools import permutations
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessionkit import ChatMessage, OpenBackend, TimestampedMessage, Usage, open_backend
from sessionkit.history import windows
from sessionkit.history.windows import window
from sessionkit_memory import MemoryBackend
from tests.conversations import conversations
from tests.history.dialogues import (
    THINKING,
    Piece,
    accepts,
    answering,
    anything,
    begun_by_system,
    calling,
    calls_in,
    expected,
    flat,
    length,
    loose,
    same,
    text_block,
)
from tests.toys import DictBackend

untimed = settings(deadline=None)
needs_conversations = pytest.mark.skipif(not conversations(), reason="no real conversations here")

limits = st.none() | st.integers(0, 30)


def asked(messages: Any, most: int | None, tokens: int | None, *key: str) -> list[ChatMessage] | None:
    """The window; None where the system messages alone are too many."""
    try:
        return window(messages, *key, max_messages=most, max_tokens=tokens, count_tokens=length)
    except ValueError as error:
        if "system messages" not in str(error):
            raise
        return None


# -- from a list ----------------------------------------------------------------------------------------------------


@untimed
@given(anything, limits, limits)
def test_a_window_is_the_newest_units_that_fit(pieces: list[Piece], most: int | None, tokens: int | None) -> None:
    """All system messages, then as many units as fit, beginning with a user where it was cut; the same objects."""
    given_ = flat(pieces)
    found = asked(given_, most, tokens)
    wanted = expected(pieces, most, tokens)
    assert (found is None) == (wanted is None)
    if found is not None and wanted is not None:
        assert same(found, wanted)
        assert accepts(found)


@untimed
@given(loose, limits, limits)
def test_a_provider_accepts_every_window(messages: list[ChatMessage], most: int | None, tokens: int | None) -> None:
    """Whatever has become of the conversation; and the limits hold, no system message is lost, the order stays."""
    found = asked(messages, most, tokens)
    if found is None:
        return
    assert accepts(found)
    assert most is None or len(found) <= most
    assert tokens is None or sum(map(length, found)) <= tokens
    places = [next(place for place, message in enumerate(messages) if message is one) for one in found]
    assert places == sorted(set(places))
    instructing = [message for message in messages if message.role in {"system", "developer"}]
    assert same([message for message in found if message.role in {"system", "developer"}], instructing)


@untimed
@given(loose | anything.map(flat), st.integers(0, 15), st.integers(0, 30))
def test_a_higher_limit_never_gives_less(messages: list[ChatMessage], most: int, tokens: int) -> None:
    """Each window is the end of the next larger one, but for the system messages."""
    sizes: list[tuple[int | None, int | None]] = [
        (most, tokens),
        (most + 1, tokens),
        (most + 1, tokens + 5),
        (most + 1, None),
        (None, None),
    ]
    smaller: list[ChatMessage] = []
    for found in (asked(messages, *size) for size in sizes):
        bare = [message for message in found or [] if message.role not in {"system", "developer"}]
        assert same(bare[len(bare) - len(smaller) :], smaller)
        smaller = bare


def test_all_that_a_provider_accepts_is_given_without_limits() -> None:
    """Whoever begins; and what was never accepted is no part of it."""
    hello, pending = ChatMessage("assistant", "hello"), calling("typed", ["a"], "")
    assert window([hello, pending]) == [hello]
    assert window(iter([hello]), max_messages=1) == [hello]
    assert window([]) == window([], max_messages=0) == []


def test_a_user_begins_where_something_was_cut() -> None:
    """Unless no user has spoken since: then all that fits is given."""
    question, answer = ChatMessage("user", "q"), ChatMessage("assistant", "a")
    look = [calling("typed", ["a"], ""), *answering("tool", ["a"])]
    assert window([question, *look, question, answer], max_messages=4) == [question, answer]
    assert window([question, *look, answer], max_messages=3) == [*look, answer]
    assert window([question, *look, answer], max_messages=2) == [answer]
    assert window([answer, question, answer], max_messages=3) == [answer, question, answer]
    assert window([calling("typed", ["a"], ""), answer, question], max_messages=2) == [answer, question]


def test_results_are_no_words_of_a_user() -> None:
    """A window may not begin with them, though they come in a user's message, with text even."""
    question = ChatMessage("user", "q")
    look = [calling("blocks", ["a"], "x"), *answering("users", ["a"], "and now?")]
    newest = ChatMessage("assistant", "a")
    assert window([question, *look, newest], max_messages=2) == [newest]
    assert window([question, *look, newest], max_messages=3) == [*look, newest]


def test_where_the_newest_unit_does_not_fit_the_system_messages_are_alone() -> None:
    """Never more than asked for, and nothing older instead."""
    first, last = ChatMessage("system", "be brief"), ChatMessage("developer", "be kind")
    look = [calling("typed", ["a", "b"], ""), *answering("tool", ["a", "b"])]
    messages = [first, ChatMessage("user", "q"), *look, last]
    assert window(messages, max_messages=4) == [first, last]
    assert window(messages, max_messages=2) == [first, last]


def test_system_messages_beyond_the_limit_are_an_error() -> None:
    """None of them is left out in silence, and never are there more messages than asked for."""
    messages = [ChatMessage("system", "be brief"), ChatMessage("user", "q")]
    with pytest.raises(ValueError, match="1 system messages take more than max_messages=0, max_tokens=None"):
        window(messages, max_messages=0)
    with pytest.raises(ValueError, match="max_tokens=7 allow: raise the limit"):
        window(messages, max_tokens=7, count_tokens=length)
    assert window(messages, max_tokens=8, count_tokens=length) == messages[:1]


def test_results_directly_follow_their_calls() -> None:
    """Not after a system message, nor after the user's words beside other results."""
    call = calling("blocks", ["a", "b"], "x")
    one, two = answering("users", ["a", "b"])
    for between in (ChatMessage("system", "s"), ChatMessage("assistant", "")):
        assert window([call, one, between, two]) == [between] * (between.role == "system")
    [with_words] = answering("users", ["a"], "and?")
    assert window([call, with_words, two]) == []
    assert window([call, two, with_words]) == [call, two, with_words]


def test_ids_may_come_again() -> None:
    """A result belongs to the call before it, not to one of the same id elsewhere."""
    for order in permutations(["typed", "blocks", "raw"]):
        turns_ = [[calling(style, ["a"], "x"), *answering("tool", ["a"])] for style in order]
        assert window([message for turn in turns_ for message in turn], max_messages=4) == turns_[1] + turns_[2]
        pending = calling("typed", ["a"], "")
        assert window([*turns_[0], pending, ChatMessage("user", "q"), *turns_[1]], max_messages=4) == [
            ChatMessage("user", "q"),
            *turns_[1],
        ]


def test_calls_and_results_without_ids_are_matched_by_their_number() -> None:
    """Some local models give none, and accept them so."""
    calls: list[dict[str, Any]] = [{"function": {"name": "look", "arguments": {}}}] * 2
    call = ChatMessage.from_dict({"role": "assistant", "content": "", "tool_calls": calls})
    found = ChatMessage("tool", "found")
    assert window([call, found, found]) == [call, found, found]
    assert window([call, found]) == []
    assert window([call, found, found, found]) == [call, found, found]


def test_an_answer_that_says_anything_is_kept() -> None:
    """A refusal, a sound, a picture, a call of the old kind: only what says nothing is left out."""
    for more in (
        {"refusal": "no"},
        {"audio": {"id": "x"}},
        {"function_call": {"name": "look", "arguments": "{}"}},
        {"content": ["of another form"]},
        {"content": [{"type": "image_url", "image_url": {"url": "u"}}]},
        {"content": [{"type": ["of no provider"]}]},
        {"raw_content_blocks": [THINKING, text_block("so")]},
    ):
        message = ChatMessage.from_dict({"role": "assistant", "content": None} | more)
        assert window([message]) == [message]


def test_signed_reasoning_stays_untouched() -> None:
    """The blocks, and all else of a message, are those that were given."""
    message = ChatMessage("assistant", [THINKING, text_block("so")], usage=Usage(1, 2), extra={"x": {"y": [1]}})
    before = message.to_dict()
    [found] = window([ChatMessage("user", "q"), message], max_messages=1)
    assert found is message
    assert found.to_dict() == before


def test_tokens_are_counted_of_no_more_than_need_be() -> None:
    """Of the system messages and, from the newest on, up to the first that does not fit; without a limit of none."""
    counted: list[ChatMessage] = []

    def count(message: ChatMessage) -> int:
        counted.append(message)
        return 10

    messages = [ChatMessage("system", "s"), *(ChatMessage("user", str(number)) for number in range(100))]
    assert window(messages, max_tokens=35, count_tokens=count) == [messages[0], *messages[-2:]]
    assert counted == [messages[0], *reversed(messages[-3:])]
    counted.clear()
    assert window(messages, count_tokens=count) == messages
    assert counted == []


def test_bad_input_gets_an_error() -> None:
    """That says what to do, before anything is read."""
    messages = [ChatMessage("user", "q")]
    with pytest.raises(ValueError, match="max_tokens needs count_tokens"):
        window(messages, max_tokens=5)
    for wrong, error in ((-1, ValueError), (1.5, TypeError), ("1", TypeError), (True, TypeError)):
        limit: Any = wrong
        with pytest.raises(error, match="max_messages"):
            window(messages, max_messages=limit)
        with pytest.raises(error, match="max_tokens"):
            window(messages, max_tokens=limit, count_tokens=length)
        with pytest.raises(error, match=r"what count_tokens\(\) gives"):
            window(messages, max_tokens=5, count_tokens=Mock(return_value=limit))
    sources: Any = ([{"role": "user"}], MemoryBackend(), 5)
    for source in sources:
        with pytest.raises(TypeError, match=r"^window\(\) takes"):
            window(source)
    with pytest.raises(TypeError, match=r"list is no backend"):
        window(sources[0], "s", max_messages=1)


# -- from a store ---------------------------------------------------------------------------------------------------


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
    """And looking at it creates none."""
    assert window(backend, "s") == window(backend, "s", max_messages=5) == []
    assert window(backend, session_key="s", max_tokens=5, count_tokens=length) == []
    assert backend.list_sessions() == []


def test_a_limit_may_be_larger_than_any_session(backend: OpenBackend) -> None:
    """It is a number like any other to the store."""
    store(backend, [ChatMessage("user", "q")])
    assert window(backend, "s", max_messages=10**30) == [ChatMessage("user", "q")]


def test_system_messages_in_the_tail_are_kept_and_those_further_up_not_looked_for() -> None:
    """What the docstring says of them."""
    backend = MemoryBackend()
    question = ChatMessage("user", "q")
    near, far = ChatMessage("system", "near"), ChatMessage("system", "far")
    messages = [ChatMessage("system", "first"), *[question] * 50, far, *[question] * 50, near, question, question]
    store(backend, messages)
    assert window(backend, "s", max_messages=3) == [messages[0], near, question]
    assert window(messages, max_messages=3) == [messages[0], far, near]


def test_many_system_messages_at_the_beginning_are_all_kept() -> None:
    """Also where the tail begins among them; each is there once."""
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
    """It answers the same."""
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
    """Of every prefix, in any size, the same."""
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
