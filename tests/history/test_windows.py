"""Windows: what providers accept, as much of it as fits, from a list."""

from itertools import permutations
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionkit import ChatMessage, Usage
from sessionkit.history.windows import window
from sessionkit_memory import MemoryBackend
from tests.history.asking import asked, limits, untimed
from tests.history.dialogues import (
    THINKING,
    Piece,
    accepts,
    answering,
    anything,
    calling,
    expected,
    flat,
    length,
    loose,
    same,
    text_block,
)


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
