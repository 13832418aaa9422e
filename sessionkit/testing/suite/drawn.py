"""What the state machine draws its arguments from: few of each, so that its calls meet."""

from typing import Any

from hypothesis import strategies as st

from sessionkit.testing.suite.model import WORDS

KEYS = st.sampled_from(["a"] * 5 + ["A", "a/../b", "\u6771"])  # so that one of them sees many calls
TURNS = st.sampled_from(["t", "u"])
STATES = st.sampled_from(["running", "running", "idle", "error"])
TEXTS = st.lists(st.sampled_from(sorted(WORDS)), max_size=3).map(" ".join)
CALLS = [{"id": "1", "type": "function", "function": {"name": "*", "arguments": "*"}}]
BLOCK = st.builds(lambda text: {"type": "text", "text": text}, TEXTS)
USES = st.just({"type": "tool_use", "id": "1", "name": "*"})
MESSAGES: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.builds(lambda text: {"role": "user", "content": text}, TEXTS),
    st.builds(
        lambda text, x: {"role": "assistant", "content": text, "x": x}, TEXTS, st.sampled_from([None, True, 1, 2**70])
    ),
    st.builds(lambda blocks: {"role": "assistant", "content": blocks}, st.lists(BLOCK | USES, max_size=3)),
    st.just({"role": "assistant", "content": None, "tool_calls": CALLS}),
    st.just({"role": "tool", "tool_calls": CALLS * 2}),
)
ATTRIBUTES = st.dictionaries(st.sampled_from("xy"), st.sampled_from([None, 1, True, "1", [1], {"z": None}]), max_size=2)
FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "key_prefix": st.sampled_from(["a", "a/", "\u6771"]),
        "channel_id": st.just("c"),
        "state": st.sampled_from(["idle", "running"]),
    },
)
LIMITS = st.none() | st.integers(0, 3)
FIELD = st.sampled_from([None, "", "c", "C"])
