"""A keyword is data, and so are a prefix and a filter: the answer is that of a look at every message."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessionkit import ChatMessage, OpenBackend, SessionContext, SessionQuery, open_backend, tokenize
from sessionkit.registry import BUILT_IN
from sessionkit.text import query_terms
from tests.places import url_of
from tests.safety.hostile import keys, keywords, words

CORPUS = [
    "alpha Beta gamma_ray", "a OR b", "o'hara's 50% off", "NEAR(alpha Beta)", "text: alpha", "日本語 日", "straße", "",
    "'; DROP TABLE sessions; --", '"quoted" words', "a* wild", "{x} [a-z] .*",
    "x1 ^ alpha", "not and or near", "rowid rank",
]  # fmt: skip


def finds_what_a_scan_finds(backend: OpenBackend, texts: dict[str, list[str]], keyword: str) -> None:
    """For that keyword: no more, no less, and no error."""
    wanted = query_terms(keyword)
    expected = {
        key for key, said in texts.items() if not wanted or any(wanted <= tokenize(each) for each in said)
    }  # each message by itself, by the core's own terms, and by nothing of a backend
    assert {found.key for found in backend.search(SessionQuery(keyword))} == expected


def filters_are_data(backend: OpenBackend, known: dict[str, str], value: str) -> None:
    """A prefix is the beginning of a key, and a filter is equal, code point by code point."""
    found = backend.search(SessionQuery(key_prefix=value))
    assert {each.key for each in found} == {key for key in known if key.startswith(value)}
    for name in ("agent_alias", "channel_id", "room_id", "sender_id"):
        found = backend.search(SessionQuery(**{name: value}))  # type: ignore[arg-type]
        assert {each.key for each in found} == {key for key, set_to in known.items() if set_to == value}
    found = backend.search(SessionQuery(attributes={value: value}))
    assert {each.key for each in found} == {key for key, set_to in known.items() if set_to == value}
    assert len(backend.search(SessionQuery(state=value))) == (len(known) if value == "idle" else 0)


def filled(backend: OpenBackend, texts: dict[str, list[str]], *, indexed: bool) -> OpenBackend:
    """With these messages, which an index holds where there is one."""
    for key, said in texts.items():
        for text in said:
            backend.append(key, ChatMessage("user", text))
    if indexed:
        backend.compact(next(iter(texts)))
    return backend


@pytest.mark.parametrize("indexed", [False, True], ids=["scanned", "indexed"])
@pytest.mark.parametrize("scheme", sorted(BUILT_IN))
def test_a_keyword_is_data(scheme: str, indexed: bool, tmp_path: Path) -> None:  # noqa: FBT001 -- a case
    """Operators, quotes, wildcards and comments of FTS5, SQL, GLOB, regular expressions, RediSearch and tsquery."""
    texts = {f"k{i}": [text, "alpha"] if i % 3 else [text] for i, text in enumerate(CORPUS)}
    with filled(open_backend(url_of(scheme, tmp_path)), texts, indexed=indexed) as backend:

        @given(keywords)
        @settings(max_examples=50, deadline=None)
        def check(keyword: str) -> None:
            finds_what_a_scan_finds(backend, texts, keyword)

        check()
        assert len(backend.list_sessions()) == len(texts)


@pytest.mark.parametrize("scheme", sorted(BUILT_IN))
@given(st.lists(words, min_size=1, max_size=6), st.lists(keywords, min_size=1, max_size=6))
@settings(max_examples=3, deadline=None)
def test_any_texts_are_found_by_any_keyword(scheme: str, said: list[str], asked: list[str]) -> None:
    """Messages may be queries too."""
    texts = {f"k{i}": [text] for i, text in enumerate(said)}
    with (
        tempfile.TemporaryDirectory() as folder,
        filled(open_backend(url_of(scheme, Path(folder))), texts, indexed=True) as backend,
    ):
        for keyword in (*asked, *said):
            finds_what_a_scan_finds(backend, texts, keyword)


VALUES = [
    "%",
    "_",
    "a",
    "A",
    "a%",
    "a_",
    "*",
    "a*",
    "?",
    "[a]",
    "'",
    '"',
    "'' OR 1=1 --",
    "\\",
    "ä",
    "a\u0308",
    "İ",
    "x" * 500,
]


@pytest.mark.parametrize("scheme", sorted(BUILT_IN))
def test_a_filter_is_data(scheme: str, tmp_path: Path) -> None:
    """No wildcard, no case, no normal form: in prefixes, contexts, aliases, states and attributes."""
    known = {f"{value}{i}": value for i, value in enumerate(VALUES)}
    with open_backend(url_of(scheme, tmp_path)) as backend:
        for key, value in known.items():
            backend.set_session_agent_alias(key, value)
            backend.set_session_context(key, SessionContext(value, value, value, {value: value}))

        @given(st.sampled_from(VALUES) | keys | st.text(min_size=1, max_size=4))
        @settings(max_examples=25, deadline=None)
        def check(value: str) -> None:
            filters_are_data(backend, known, value)

        check()
