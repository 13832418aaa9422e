"""The conversation that `sessionkit demo` plays: what a model and a tool once answered, as they streamed in."""

from collections.abc import Iterator

from sessionkit.messages import ChatMessage, ToolCall

IN_PROGRESS = "in_progress"
"""The `ChatMessage.status` of an answer that is still growing."""

COMPLETED = "completed"

ANSWER = (
    "The 17:40 sails today,",
    " about twenty minutes late",
    " because of fog.",
    " Your bicycle goes on the car deck",
    " and travels free.",
    " Be at pier 3 by 17:45.",
)

FOLLOW_UP_ANSWER = (
    "Yes: the café on the upper deck",
    " serves coffee and soup",
    " until ten minutes before landing.",
)


def question() -> Iterator[ChatMessage]:
    """What comes before the answer: the user's words, the tool that the model calls, and what the tool says."""
    yield ChatMessage.user("Does the 17:40 ferry sail today? I have a bicycle with me.")
    call = ToolCall("call_1", "ferry_status", '{"departure": "17:40"}')
    yield ChatMessage.assistant(tool_calls=[call])
    yield ChatMessage.tool('{"sails": true, "delay_minutes": 20, "reason": "fog", "pier": 3}', tool_call_id="call_1")


def follow_up() -> ChatMessage:
    """What the user asks next."""
    return ChatMessage.user("Thanks! Is there coffee on board?")


def earlier() -> Iterator[ChatMessage]:
    """Another conversation, so that there is something to tell apart."""
    yield ChatMessage.user("When does the museum on the island open?")
    yield ChatMessage.assistant("At ten, every day but Monday.")


def streamed(pieces: tuple[str, ...]) -> Iterator[ChatMessage]:
    """An answer as it grows, a piece at a time; all but the last are in progress."""
    for count in range(1, len(pieces) + 1):
        status = COMPLETED if count == len(pieces) else IN_PROGRESS
        yield ChatMessage.assistant("".join(pieces[:count]), status=status)
