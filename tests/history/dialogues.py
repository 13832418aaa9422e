"""What a provider accepts, what a window should be, and the conversations that Hypothesis draws to compare them.

Nothing here uses what it is to judge.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import attrs
from hypothesis import strategies as st

from sessionkit import ChatMessage, ToolCall

ITEM_ROLE = "sessionkit.item"

# -- what a provider says of a conversation, and what the window should be -------------------------------------------


def blocks_of(data: dict[str, Any]) -> list[dict[str, Any]]:
    """The content blocks of a message, wherever it has them."""
    content, raw = data.get("content"), data.get("raw_content_blocks")
    return [block for blocks in (content, raw) if isinstance(blocks, list) for block in blocks]


def calls_in(data: dict[str, Any]) -> list[str]:
    """The ids of the calls that an answer asks for."""
    uses = [block["id"] for block in blocks_of(data) if block["type"] == "tool_use"]
    return sorted({call["id"] for call in data.get("tool_calls") or []} | set(uses))


def answers_in(data: dict[str, Any]) -> list[str | None]:
    """The ids of the calls that a message has results of."""
    found = [block["tool_use_id"] for block in blocks_of(data) if block["type"] == "tool_result"]
    return found or ([data.get("tool_call_id")] if data["role"] == "tool" else [])


def is_blank(data: dict[str, Any]) -> bool:
    """Whether an answer has neither text nor calls."""
    texts = [data.get("content")] + [block.get("text") for block in blocks_of(data)]
    return not calls_in(data) and not any(text.strip() for text in texts if isinstance(text, str))


def accepts(messages: Iterable[ChatMessage]) -> bool:
    """Whether a provider takes these for a conversation: no call without its result at once, no result without one."""
    waiting: list[str] = []
    closed = False
    for data in (message.to_dict() for message in messages):
        answers = answers_in(data)
        for answer in answers:
            if answer not in waiting or closed:
                return False
            waiting.remove(answer)
        if answers:
            closed = any(block["type"] != "tool_result" for block in blocks_of(data))
        elif waiting or data["role"] == ITEM_ROLE or (data["role"] == "assistant" and is_blank(data)):
            return False
        else:
            waiting, closed = calls_in(data), False
    return not waiting


@attrs.frozen
class Piece:
    """Some messages in a row, and which of them are units that a window may have."""

    messages: list[ChatMessage]
    units: list[list[ChatMessage]]

    @property
    def is_system(self) -> bool:
        """Whether it is a message that every window has."""
        return self.messages[0].role in {"system", "developer"}


def length(message: ChatMessage) -> int:
    """Stands for a count of tokens; some messages have none."""
    return len(message.text)


def flat(pieces: Iterable[Piece]) -> list[ChatMessage]:
    """The whole conversation."""
    return [message for piece in pieces for message in piece.messages]


def expected(pieces: Sequence[Piece], most: int | None, tokens: int | None) -> list[ChatMessage] | None:
    """The window by trying every number of units, the largest first; None where it is an error."""
    system = [message for piece in pieces if piece.is_system for message in piece.messages]
    units = [unit for piece in pieces for unit in piece.units]

    def fits(kept: list[ChatMessage]) -> bool:
        return (most is None or len(kept) <= most) and (tokens is None or sum(map(length, kept)) <= tokens)

    if not fits(system):
        return None
    cut = next(cut for cut in range(len(units) + 1) if fits(system + [m for unit in units[cut:] for m in unit]))
    users = [place for place in range(cut, len(units)) if units[place][0].role == "user"]
    begin = users[0] if cut and users else cut
    chosen = {id(message) for message in system + [m for unit in units[begin:] for m in unit]}
    return [message for message in flat(pieces) if id(message) in chosen]


def same(one: list[ChatMessage], other: list[ChatMessage]) -> bool:
    """Whether they hold the same objects."""
    return list(map(id, one)) == list(map(id, other))


# -- conversations --------------------------------------------------------------------------------------------------

words = st.text("ab ", min_size=1, max_size=5).map("x{}".format)
blanks = st.sampled_from(["", " ", "\n\t"])
THINKING = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}


def text_block(text: str) -> dict[str, Any]:
    """A block of text."""
    return {"type": "text", "text": text}


def calling(style: str, ids: Sequence[str], text: str) -> ChatMessage:
    """An answer that calls tools, in one of the forms that there are."""
    uses = [{"type": "tool_use", "id": call_id, "name": "look", "input": {}} for call_id in ids]
    typed = [ToolCall(call_id, "look", "{}") for call_id in ids]
    if style == "typed":
        return ChatMessage("assistant", text or None, tool_calls=tuple(typed))
    if style == "blocks":
        return ChatMessage("assistant", [text_block(text), *uses])
    if style == "raw":
        return ChatMessage("assistant", text or None, raw_content_blocks=[THINKING, *uses])
    if style == "both":
        return ChatMessage("assistant", text, tool_calls=tuple(typed), raw_content_blocks=[THINKING, *uses])
    custom = [{"id": call_id, "type": "custom", "custom": {"name": "look", "input": "x"}} for call_id in ids]
    return ChatMessage.from_dict({"role": "assistant", "content": None, "tool_calls": custom})


def answering(style: str, ids: Sequence[str], text: str = "") -> list[ChatMessage]:
    """The results of tools, in one of the forms that there are; the text is in the last where that can be."""
    results = [{"type": "tool_result", "tool_use_id": call_id, "content": "found"} for call_id in ids]
    if style == "tool":
        return [ChatMessage("tool", "found", tool_call_id=call_id) for call_id in ids]
    if style == "tool's blocks":
        return [ChatMessage("tool", results)] if results else []
    more = [text_block(text)] if text else []
    if style == "one user":
        return [ChatMessage("user", [*results, *more])] if results else []
    if style == "raw":
        return [ChatMessage("user", None, raw_content_blocks=results)] if results else []
    return [
        ChatMessage("user", [result, *(more if result is results[-1] else [])]) for result in results
    ]  # a user's message each


call_styles = st.sampled_from(["typed", "blocks", "raw", "both", "custom"])
answer_styles = st.sampled_from(["tool", "tool's blocks", "one user", "users", "raw"])
call_ids = st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True)
said = st.sampled_from(["user", "assistant", "function"]).flatmap(
    lambda role: words.map(lambda text: ChatMessage(role, text))
)
lost = st.builds(answering, answer_styles, st.just(["lost"]), st.just("") | words).map(lambda found: found[0])


def kept(message: ChatMessage) -> Piece:
    """A unit of one message."""
    return Piece([message], [[message]])


def left_out(*messages: ChatMessage) -> Piece:
    """Messages that no provider takes."""
    return Piece(list(messages), [])


@st.composite
def turns(draw: st.DrawFn) -> Piece:
    """Calls with all their results in some order; perhaps a result that nobody asked for is among or after them."""
    ids = draw(call_ids)
    call = calling(draw(call_styles), ids, draw(st.just("") | words))
    found = answering(draw(answer_styles), draw(st.permutations(ids)), draw(st.just("") | words))
    messages = [call, *found]
    unit = messages[:]
    if draw(st.booleans()):
        stray = draw(lost | st.just(ChatMessage("tool", "again", tool_call_id=ids[0])))
        after = len(messages) if stray.tool_call_id == ids[0] else draw(st.integers(1, len(messages)))
        messages.insert(after, stray)
    return Piece(messages, [unit])


@st.composite
def broken_turns(draw: st.DrawFn) -> Piece:
    """Calls of which at least one has no result, or has it after another message."""
    ids = draw(call_ids)
    missing = draw(st.integers(0, len(ids) - 1))
    late = [ids[missing]]
    answered = [call_id for call_id in ids if call_id not in late]
    style = draw(answer_styles)
    messages = [calling(draw(call_styles), ids, draw(st.just("") | words)), *answering(style, answered)]
    between = draw(st.none() | said | st.builds(ChatMessage, st.just("assistant"), blanks))
    if between is None:
        return left_out(*messages)
    unit = [[between]] if length(between) and between.text.strip() else []
    return Piece([*messages, between, *answering(draw(answer_styles), late)], unit)


refused = st.one_of(
    blanks.map(lambda text: ChatMessage("assistant", text)),
    st.sampled_from(
        [
            ChatMessage("assistant"),
            ChatMessage("assistant", []),
            ChatMessage("assistant", reasoning="hm", status="incomplete"),
            ChatMessage("assistant", [THINKING]),
            ChatMessage("assistant", "", raw_content_blocks=[THINKING, text_block(" ")]),
            ChatMessage.from_dict({"role": "assistant", "content": None, "tool_calls": [], "refusal": None}),
            ChatMessage(ITEM_ROLE, [{"type": "function_call_output", "call_id": "a"}]),
            ChatMessage("tool", "who asked?"),
        ]
    ).map(attrs.evolve),
    lost,
)
partial = words.map(lambda text: ChatMessage("assistant", text, status="incomplete"))
system = st.sampled_from(["system", "developer"]).flatmap(
    lambda role: words.map(lambda text: Piece([ChatMessage(role, text)], []))
)
others = st.one_of(said.map(kept), said.map(kept), partial.map(kept), turns(), broken_turns(), refused.map(left_out))
anything = st.lists(others | system, max_size=14)
begun_by_system = st.builds(
    lambda first, rest: first + rest, st.lists(system, max_size=6), st.lists(others, max_size=14)
)
loose = st.lists(
    st.one_of(
        said,
        refused,
        system.map(lambda piece: piece.messages[0]),
        st.builds(calling, call_styles, call_ids, words),
        st.builds(answering, answer_styles, st.sampled_from([["a"], ["b"], ["c"]])).map(lambda found: found[0]),
        st.builds(answering, st.just("one user"), call_ids, words).map(lambda found: found[0]),
    ).map(attrs.evolve),
    max_size=12,
)
"""Messages in no order at all, with the same few ids."""
