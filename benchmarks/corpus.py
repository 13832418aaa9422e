"""The messages that everything is measured with: the same for ours and for every floor."""

import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import accumulate, islice
from typing import Any

import attrs

from sessionkit import ChatMessage, ToolCall
from tests.conversations import conversations

SEED = 20

RARE, ABSENT = "zyzzogeton", "quaquaversal"
RARE_FIRST, RARE_EVERY = 125, 2_500
"""The first message with the rare word, and after how many comes another."""

_SYLLABLES = (
    "ba",
    "ce",
    "di",
    "fo",
    "gu",
    "ka",
    "le",
    "mi",
    "no",
    "pu",
    "ra",
    "se",
    "ti",
    "vo",
    "ele",
    "ist",
    "ond",
    "urk",
)
_VOCABULARY = 5_000
_ACCENTED_EVERY = 20  # one short text of so many has a letter outside ASCII, as in the real conversations
_START = datetime(2025, 1, 1, tzinfo=UTC)


@attrs.frozen
class Corpus:
    """Messages, each three times: as ours takes it, as a floor's `json.dumps` does, and as JSON."""

    messages: Sequence[ChatMessage]
    dicts: Sequence[dict[str, Any]]
    lines: Sequence[bytes]

    def __len__(self) -> int:
        return len(self.messages)


def corpus_of(messages: Sequence[ChatMessage]) -> Corpus:
    """The corpus of those messages."""
    dicts = [message.to_dict() for message in messages]
    return Corpus(messages, dicts, [json.dumps(data).encode() for data in dicts])


@cache
def generated(count: int) -> Corpus:
    """Always the same: 60 % short texts, 25 % tool calls, 15 % tool results of 2 to 6 KB."""
    rng = random.Random(SEED)  # noqa: S311 -- nothing secret
    return corpus_of([_message(rng, number) for number in range(count)])


@cache
def recorded() -> Corpus | None:
    """The messages of real conversations, where there are any."""
    messages = [ChatMessage.from_dict(data) for found in conversations().values() for data in found]
    return corpus_of(messages) if messages else None


@cache
def _words() -> tuple[list[str], list[float]]:
    """A vocabulary, and how often each word is used: the n-th most frequent one n times less than the first."""
    rng = random.Random(SEED)  # noqa: S311 -- nothing secret
    words = sorted({"".join(rng.choices(_SYLLABLES, k=rng.randint(1, 4))) for _ in range(4 * _VOCABULARY)})
    rng.shuffle(words)
    chosen = list(islice(words, _VOCABULARY))
    return chosen, list(accumulate(1 / rank for rank in range(1, len(chosen) + 1)))


def common_word() -> str:
    """The word that most messages hold."""
    return _words()[0][0]


def _text(rng: random.Random, least: int, most: int) -> str:
    words, weights = _words()
    length = rng.randint(least, most)
    text = " ".join(rng.choices(words, cum_weights=weights, k=length // 3))
    return text[:length]


def _message(rng: random.Random, number: int) -> ChatMessage:
    said = _START + timedelta(milliseconds=1234.567 * number)
    call_id = f"call_{rng.getrandbits(96):024x}"
    kind = rng.random()
    if number % RARE_EVERY == RARE_FIRST:
        return ChatMessage.user(f"{_text(rng, 20, 100)} {RARE}", timestamp=said)
    if kind < 0.60:  # noqa: PLR2004 -- the share of short texts
        accent = " é" if number % _ACCENTED_EVERY == 0 else ""
        build = ChatMessage.user if rng.random() < 0.5 else ChatMessage.assistant  # noqa: PLR2004 -- one of two speaks
        return build(_text(rng, 20, 300) + accent, timestamp=said)
    if kind < 0.85:  # noqa: PLR2004 -- and 25 % tool calls
        arguments = json.dumps(
            {"id": f"{rng.getrandbits(40):x}", "query": _text(rng, 10, 80), "limit": rng.randint(1, 99)}
        )
        name = f"{rng.choice(('get', 'find', 'update', 'book'))}_{rng.choice(_words()[0][:20])}"
        return ChatMessage.assistant(tool_calls=[ToolCall(call_id, name, arguments)], timestamp=said)
    return ChatMessage.tool(_text(rng, 2_000, 6_000), tool_call_id=call_id, timestamp=said)
