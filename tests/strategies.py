"""What Hypothesis draws from: JSON values, and objects that are messages or nearly so."""

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from sessionkit import ChatMessage, ToolCall, Usage

TEXT_FIELDS = ("name", "tool_call_id", "reasoning", "id", "provider_response_id", "status", "model")


def strict(value: Any) -> str:
    """A text that is equal for two JSON values only where their types are equal too: 1, 1.0 and True all differ."""
    return json.dumps(value, sort_keys=True)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=2**63 - 2, max_value=2**64 + 2)
    | st.integers(min_value=10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(texts, values, max_size=3)


def sometimes(usual: st.SearchStrategy[Any], unusual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """One in four is unusual."""
    return st.integers(0, 3).flatmap(lambda dice: unusual if dice == 0 else usual)


def merged(*parts: dict[str, Any]) -> dict[str, Any]:
    """One object of all, the later ones winning."""
    return {name: value for part in parts for name, value in part.items()}


def lacking(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects that have some of the members; now and then one has another value, or there is a further one."""
    some = st.fixed_dictionaries({}, optional={name: sometimes(usual, values) for name, usual in members.items()})
    return st.builds(merged, sometimes(st.just({}), objects), some)


functions = sometimes(
    st.fixed_dictionaries({"name": texts, "arguments": texts | st.just('{"city": "Paris"}')}),
    lacking(name=texts, arguments=texts),
)
tool_calls = sometimes(
    st.fixed_dictionaries({"id": texts, "type": st.just("function"), "function": functions}),
    lacking(id=texts, type=st.sampled_from(["function", "custom"]), function=functions, index=st.integers(0, 3)),
)
blocks = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": texts}),
    st.fixed_dictionaries({"type": st.just("thinking"), "thinking": texts, "signature": texts}),
    lacking(type=st.just("tool_use"), id=texts, name=texts, input=objects),
    lacking(type=st.just("tool_result"), tool_use_id=texts, content=texts | st.lists(objects, max_size=2)),
    lacking(type=st.just("image_url"), image_url=objects),
)
contents = texts | st.lists(sometimes(blocks, objects), max_size=3)

moments = st.datetimes(timezones=st.just(UTC))
canonical_timestamps = moments.map(lambda moment: moment.isoformat().replace("+00:00", "Z"))
near_timestamps = st.one_of(
    moments.map(datetime.isoformat),
    canonical_timestamps.map(lambda text: text.replace("T", " ")),
    canonical_timestamps.map(str.lower),
    canonical_timestamps.map(lambda text: text[:-1]),
    canonical_timestamps.map(lambda text: f"{text[:19]}.000000Z"),
    canonical_timestamps.map(lambda text: f"{text[:19]}.120Z"),
    canonical_timestamps.map(lambda text: f"{text[:11]}24:00:00Z"),
    canonical_timestamps.map(lambda text: f"{text[:17]}60Z"),
    canonical_timestamps.map(lambda text: f"{text[:-1]}\n"),
    canonical_timestamps.map(lambda text: f"0000{text[4:]}"),
    canonical_timestamps.map(lambda text: f"\u0661{text[1:]}"),
)

_counts = st.integers(min_value=0, max_value=2**70)
usages = lacking(
    input_tokens=_counts,
    output_tokens=_counts | st.just(1.0),
    cache_creation_tokens=_counts,
    cache_read_tokens=_counts,
    reasoning_tokens=_counts,
    cost_usd=st.floats(0, 10) | _counts,
)

_KNOWN: dict[str, st.SearchStrategy[Any]] = {
    "content": contents,
    "tool_calls": st.lists(tool_calls, max_size=3),
    "raw_content_blocks": st.lists(blocks, max_size=2),
    "tool_metadata": objects,
    "timestamp": canonical_timestamps | near_timestamps,
    "usage": usages,
    **dict.fromkeys(TEXT_FIELDS, texts),
}

message_objects = st.builds(
    merged,
    st.dictionaries(sometimes(texts, st.sampled_from(["refusal", "extra", "annotations", "type"])), values, max_size=2),
    st.fixed_dictionaries({}, optional={name: sometimes(usual, values) for name, usual in _KNOWN.items()}),
    st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant", "tool"]) | texts}),
)
"""JSON objects with a role: what providers send, and what comes near it in every way."""

messages = st.builds(
    ChatMessage,
    role=texts,
    content=st.none() | contents,
    tool_calls=st.lists(
        st.builds(ToolCall, texts, texts, texts, st.dictionaries(texts.map("x{}".format), values, max_size=1)),
        max_size=2,
    ),
    raw_content_blocks=st.none() | st.lists(blocks, max_size=1),
    tool_metadata=st.none() | objects,
    timestamp=st.none() | moments,
    usage=st.none() | st.builds(Usage, st.none() | _counts, st.none() | _counts, cost_usd=st.none() | st.floats(0, 9)),
    extra=st.dictionaries(texts.map("x_{}".format), values, max_size=2),
    **dict.fromkeys(TEXT_FIELDS, st.none() | texts),
)
"""Messages as a program builds them, whose fields have the types that they declare."""
