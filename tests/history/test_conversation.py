"""One conversation as an object: items go in and come back equal, whatever they are."""

import threading
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import Response

from sessionkit import (
    ChatMessage,
    ConflictError,
    InvalidMessageError,
    InvalidSessionKeyError,
    OpenBackend,
    TimestampedMessage,
    ToolCall,
    UnsupportedOperationError,
)
from sessionkit.history import ITEM_ROLE, ConversationSession
from sessionkit_memory import MemoryBackend
from tests.strategies import message_objects, messages, objects, sometimes, strict, values
from tests.toys import DictBackend

USER = {"role": "user", "content": "hi"}
CALL = {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "found"}
ANSWER = {"id": "m", "type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "so"}]}
ITEMS: list[dict[str, Any]] = [USER, CALL, OUTPUT, {"type": "reasoning", "summary": []}, ANSWER]

with_any_role = st.builds(
    lambda item, role: item | {"role": role}, objects, values | st.just(ITEM_ROLE) | st.sampled_from(["user", ""])
)
items = sometimes(message_objects, objects | with_any_role)


@pytest.fixture(name="conversation")
def _conversation(backend: OpenBackend) -> ConversationSession:
    """A conversation without items, in each kind of store."""
    return ConversationSession(backend, "s")


def test_items_come_back_as_they_were(backend: OpenBackend) -> None:
    """Any JSON objects: with a text for a role, with none, with null or a number, with the reserved one."""
    names = iter(range(10**6))

    @settings(deadline=None)
    @given(st.lists(items, max_size=5), st.integers(0, 6))
    def check(added: list[dict[str, Any]], limit: int) -> None:
        conversation = ConversationSession(backend, f"s{next(names)}")
        half = len(added) // 2
        conversation.add_items(added[:half])
        conversation.add_items(added[half:])
        found = conversation.get_items()
        assert [strict(item) for item in found] == [strict(item) for item in added]
        assert conversation.get_items(limit) == added[max(0, len(added) - limit) :]
        popped = [conversation.pop_item() for _ in added]
        assert [strict(item) for item in popped] == [strict(item) for item in reversed(added)]
        assert conversation.pop_item() is None

    check()


def test_messages_come_back_as_they_were(backend: OpenBackend) -> None:
    """Added as messages, they are items of the same content, and messages still, but for the reserved role."""
    names = iter(range(10**6))

    @settings(deadline=None)
    @given(st.lists(messages, max_size=5))
    def check(added: list[ChatMessage]) -> None:
        conversation = ConversationSession(backend, f"s{next(names)}")
        conversation.add_items(added)
        assert conversation.get_messages() == added
        assert conversation.get_items() == [message.to_dict() for message in added]

    check()


def test_items_with_a_role_are_messages_to_everybody(backend: OpenBackend, conversation: ConversationSession) -> None:
    """So that counts, searches and windows see them; the others have the reserved role."""
    conversation.add_items(ITEMS)
    stored = backend.load("s")
    assert [message.role for message in stored] == ["user", ITEM_ROLE, ITEM_ROLE, ITEM_ROLE, "assistant"]
    assert stored[0] == ChatMessage("user", "hi")
    assert stored[1] == ChatMessage(ITEM_ROLE, [CALL])
    assert conversation.get_messages() == [stored[0], stored[4]]


def test_an_item_of_the_reserved_role_is_wrapped_too(backend: OpenBackend, conversation: ConversationSession) -> None:
    """An item or message of the reserved role comes back as itself, and not as what it holds."""
    item = {"role": ITEM_ROLE, "content": [USER]}
    message = ChatMessage(ITEM_ROLE, [USER])
    conversation.add_items([item, message])
    assert conversation.get_items() == [item, item]
    assert conversation.get_messages() == []
    foreign = [ChatMessage(ITEM_ROLE, content) for content in (None, "text", [], [USER, USER])]
    for one in foreign:
        backend.append("s", one)
    assert conversation.get_items(4) == [one.to_dict() for one in foreign]


@pytest.mark.parametrize("limit", [None, *range(8)])
def test_the_newest_items_and_messages(conversation: ConversationSession, limit: int | None) -> None:
    """As many as were asked for, oldest first, or all that there are; messages however many items are between them."""
    added = [{"role": "user", "content": str(number)} if number % 9 == 3 else {"n": number} for number in range(40)]
    conversation.add_items(added)
    spoken = [ChatMessage.from_dict(item) for item in added if "role" in item]
    items, messages = conversation.get_items(limit), conversation.get_messages(limit)
    assert items == (added if limit is None else added[len(added) - limit :])
    assert messages == (spoken if limit is None else spoken[max(0, len(spoken) - limit) :])


def test_an_empty_conversation_has_nothing(backend: OpenBackend, conversation: ConversationSession) -> None:
    """And looking at it, or adding nothing, creates no session."""
    conversation.add_items([])
    for limit in (None, 3):
        assert conversation.get_items(limit) == []
        assert conversation.get_messages(limit) == []
    assert conversation.pop_item() is None
    conversation.clear_session()
    assert backend.list_sessions() == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"n": float("nan")},
        {"role": "user", "n": float("inf")},
        {"n": b"bytes"},
        {"n": (1, 2)},
        {"role": "user", "n": {1, 2}},
        {1: "key"},
        {"role": "user", 1: "key"},
        {"text": "\ud800"},
        "text",
        None,
        [USER],
        ChatMessage("user", extra={"content": "twice"}),
        ChatMessage(ITEM_ROLE, extra={"role": "twice"}),
        ChatMessage(ITEM_ROLE, [{"n": float("nan")}]),
    ],
)
def test_what_json_can_not_hold_is_refused(
    backend: OpenBackend, conversation: ConversationSession, wrong: object
) -> None:
    """And nothing of what was to be added with it is stored."""
    items: Any = [USER, CALL, wrong, USER]
    with pytest.raises(InvalidMessageError):
        conversation.add_items(items)
    assert backend.list_sessions() == []


class Dumped:
    """An object that gives its JSON object by another name than a model does."""

    def to_dict(self) -> dict[str, Any]:
        """Of an item."""
        return CALL


def test_what_an_sdk_gives_is_kept_as_what_was_sent(conversation: ConversationSession) -> None:
    """The objects of a response go in as they are, and come out as the provider's JSON, to be sent again."""
    sent: list[dict[str, Any]] = [
        {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "c2ln"},
        CALL | {"status": "completed"},
        {
            "type": "message",
            "id": "m",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "so", "annotations": []}],
        },
    ]
    response = Response.construct(id="resp", object="response", output=sent)
    assert not any(isinstance(item, dict) for item in response.output)
    with pytest.raises(InvalidMessageError, match=r"ConversationSession\.add_items\(\) keeps its output"):
        ChatMessage.from_openai(response)
    conversation.add_items([*response.output, Dumped()])
    assert conversation.get_items() == [*sent, CALL]
    assert [message.role for message in conversation.get_messages()] == ["assistant"]
    whole: Any = response
    with pytest.raises(InvalidMessageError, match=r"not tuple; add_items\(\) takes a list of them, such as response"):
        conversation.add_items(whole)


def test_it_has_what_the_agents_sdk_asks_a_session_for(conversation: ConversationSession) -> None:
    """No settings of a session, and all the rest, which is awaited in the SDK's own."""
    assert conversation.session_settings is None
    asked = {"session_id", "get_items", "add_items", "pop_item", "clear_session"}
    assert asked <= set(dir(conversation))


def test_items_are_given_as_a_list_of_them(conversation: ConversationSession) -> None:
    """One item by itself, or a text, is an error that says so; any iterable will do, and mappings that are no dicts."""
    for wrong in (USER, "text"):
        items: Any = wrong
        with pytest.raises(InvalidMessageError, match=r"not str; add_items\(\) takes a list of them"):
            conversation.add_items(items)
    conversation.add_items(iter([MappingProxyType(CALL), MappingProxyType(USER)]))
    assert conversation.get_items() == [CALL, USER]


def test_nothing_is_shared(conversation: ConversationSession) -> None:
    """Changing an item after it was added, or after it was given, changes nothing stored."""
    added: list[dict[str, Any]] = [{"role": "user", "content": [{"type": "x"}]}, {"deep": {"list": [1]}}]
    conversation.add_items(added)
    added[0]["content"][0]["type"] = added[1]["deep"]["list"] = "changed"
    for item in conversation.get_items():
        item.clear()
    assert conversation.get_items() == [{"role": "user", "content": [{"type": "x"}]}, {"deep": {"list": [1]}}]


def test_messages_stored_by_others_are_items(backend: OpenBackend, conversation: ConversationSession) -> None:
    """The object of each."""
    message = ChatMessage.assistant(None, tool_calls=[ToolCall("c", "look", "{}")])
    backend.append("s", message)
    assert conversation.get_items() == [message.to_dict()]
    assert conversation.pop_item() == message.to_dict()
    assert conversation.get_messages() == []


def test_clearing_keeps_the_session(backend: OpenBackend, conversation: ConversationSession) -> None:
    """Its items are gone, its name is not."""
    conversation.add_items(ITEMS)
    backend.set_session_name("s", "a name")
    conversation.clear_session()
    assert conversation.get_items() == []
    assert backend.get_session_name("s") == "a name"


def test_several_objects_are_one_conversation(backend: OpenBackend) -> None:
    """Nothing is kept outside the store; other conversations are not touched."""
    one, other, third = (ConversationSession(backend, key) for key in ("s", "s", "t"))
    one.add_items([USER])
    assert other.get_items() == [USER]
    assert third.get_items() == []
    assert (one.session_id, third.session_id) == ("s", "t")
    assert repr(third) == f"ConversationSession({backend!r}, 't')"


def test_bad_input_gets_an_error(conversation: ConversationSession) -> None:
    """Limits are whole numbers from 0, ids are keys, and the backend can write atomically."""
    wrong: Any = 1.5
    for get in (conversation.get_items, conversation.get_messages):
        with pytest.raises(ValueError, match="limit must be 0 or more"):
            get(-1)
        with pytest.raises(TypeError, match="limit is a whole number"):
            get(wrong)
    with pytest.raises(InvalidSessionKeyError):
        ConversationSession(MemoryBackend(), "")
    with pytest.raises(UnsupportedOperationError, match=r"DictBackend offers no write\(\).*ConversationSession"):
        ConversationSession(DictBackend(), "s")


# -- others write meanwhile -------------------------------------------------------------------------------------------


def test_each_item_is_popped_once(backend: OpenBackend) -> None:
    """However many take them at once, while others are added: each of them goes to one caller or stays."""
    added = [{"n": number} for number in range(60)]
    ConversationSession(backend, "s").add_items(added[:30])
    popped: list[Any] = []
    start = threading.Barrier(4)

    def take() -> None:
        conversation = ConversationSession(backend, "s")
        start.wait()
        popped.extend(conversation.pop_item() for _ in range(12))

    def add() -> None:
        conversation = ConversationSession(backend, "s")
        start.wait()
        for item in added[30:]:
            conversation.add_items([item])

    threads = [threading.Thread(target=target) for target in (take, take, take, add)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    left = ConversationSession(backend, "s").get_items()
    assert len(popped) == 36
    taken = [item for item in popped if item is not None]
    assert sorted(item["n"] for item in taken + left) == list(range(60))


class Busy(MemoryBackend):
    """Counts the messages that it hands out; somebody writes after each look at the newest one."""

    def __init__(self, writes: int = 0) -> None:
        super().__init__()
        self.handed_out = 0
        self.writes = writes

    def load_with_timestamps(self, session_key: str, /, *, last: int | None = None) -> list[TimestampedMessage]:
        """Counted, and then it is another one."""
        found = super().load_with_timestamps(session_key, last=last)
        self.handed_out += len(found)
        if self.writes:
            self.writes -= 1
            self.append(session_key, ChatMessage("user", f"later {self.writes}"))
        return found


def test_the_newest_item_is_what_is_popped() -> None:
    """Where another one comes between looking and removing, it looks again."""
    backend = Busy(writes=3)
    conversation = ConversationSession(backend, "s")
    conversation.add_items([USER])
    assert conversation.pop_item() == {"role": "user", "content": "later 0"}
    assert len(backend.load("s")) == 3


def test_popping_gives_up_at_last() -> None:
    """Where others write all the time; and then it has removed nothing."""
    backend = Busy(writes=1_000)
    conversation = ConversationSession(backend, "s")
    conversation.add_items([USER])
    with pytest.raises(ConflictError, match="'s' was changed by others at each of 100 attempts"):
        conversation.pop_item()
    assert len(backend.load("s")) == 101


def test_the_newest_cost_themselves() -> None:
    """Items what they are, messages what is between them too, four times at most, however long the conversation is."""
    backend = Busy()
    conversation = ConversationSession(backend, "s")
    conversation.add_items([*ITEMS * 1_000, *[CALL] * 40])
    for get, limit, cost in (
        (conversation.get_items, 7, 7),
        (conversation.get_messages, 1, 4 * 41),
        (conversation.get_messages, 20, 4 * (40 + 50)),
    ):
        backend.handed_out = 0
        assert len(get(limit)) == limit
        assert backend.handed_out <= cost
    backend.handed_out = 0
    assert conversation.pop_item() == CALL
    assert backend.handed_out == 1
