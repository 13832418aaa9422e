"""What a URL says, part by part."""

import copy
import pickle
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionkit import BackendURL, BackendURLError


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("memory://", BackendURL("memory")),
        ("MEMORY://", BackendURL("memory")),
        ("sqlite:///rel.db", BackendURL("sqlite", path="rel.db")),
        ("sqlite:////abs/x.db", BackendURL("sqlite", path="/abs/x.db")),
        ("sqlite:///C:/x.db", BackendURL("sqlite", path="C:/x.db")),
        ("sqlite:///a@b:c+d.db", BackendURL("sqlite", path="a@b:c+d.db")),
        ("jsonl:///a%20b%23%3F%2525", BackendURL("jsonl", path="a b#?%25")),
        ("jsonl:///a://b?c=d://e", BackendURL("jsonl", path="a://b", query={"c": "d://e"})),
        ("jsonl:///ä/é?x=ü", BackendURL("jsonl", path="ä/é", query={"x": "ü"})),
        ("sqlite:///x?synchronous=full&b=", BackendURL("sqlite", path="x", query={"synchronous": "full", "b": ""})),
        ("sqlite:///x?a=b%26c%3Dd+e", BackendURL("sqlite", path="x", query={"a": "b&c=d e"})),
        ("postgresql://u@h/d", BackendURL("postgresql", "u", None, "h", None, "d")),
        ("postgresql://u:p%40%3A%2F@h:5432/d", BackendURL("postgresql", "u", "p@:/", "h", 5432, "d")),
        ("redis://:secret@h", BackendURL("redis", "", "secret", "h")),
        ("redis://[::1]:6379/0", BackendURL("redis", None, None, "::1", 6379, "0")),
        ("redis+cluster://h", BackendURL("redis+cluster", None, None, "h")),
    ],
)
def test_a_url_is_taken_apart(url: str, parts: BackendURL) -> None:
    """Every part percent-decoded; the path as SQLAlchemy has it."""
    parsed = BackendURL.parse(url)
    assert parsed == parts
    assert dict(parsed.query) == dict(parts.query)


@pytest.mark.parametrize(
    ("url", "error"),
    [
        *(
            (url, "begins with a scheme and '://'")
            for url in ("", "memory", "memory:", "chats.db", "/a/b", "1x://", "://")
        ),
        *((url, "begins with a scheme and '://'") for url in ("a b://", "ä://", None, 5, b"memory://", Path("x"))),
        ("redis://h:port/", "can't be read"),
        ("redis://h:99999/", "can't be read"),
        ("redis://[::1/", "can't be read"),
        ("sqlite:///%ff", "can't be read"),
        ("sqlite:///x?%ff=1", "can't be read"),
        ("sqlite:///x?option", "can't be read"),
        ("sqlite:///x#y", "can't hold '#' as it is; write %23"),
        ("sqlite:///x#", "write %23"),
        ("sqlite:///x\ny", "write %0A"),
        ("sqlite:///x\0", "write %00"),
        ("sqlite:///x?a=1&b=2&b=2", "option 'b' is given twice"),
        ("sqlite:///x?b=1&a=2&a=2", "option 'a' is given twice"),
        ("sqlite:///x?a=1&%61=2", "option 'a' is given twice"),
        ("redis://u:12/34@h/0", "ambiguous"),
    ],
)
def test_what_is_no_url_is_refused(url: Any, error: str) -> None:
    """The error says what to write instead."""
    with pytest.raises(BackendURLError, match=error):
        BackendURL.parse(url)


@given(st.text())
def test_parsing_anything_is_a_url_or_our_error(text: str) -> None:
    """Noise is no reason for another exception; what is parsed can be shown."""
    for url in (text, f"x://{text}"):
        with suppress(BackendURLError):
            parsed = BackendURL.parse(url)
            assert str(parsed).startswith(f"{parsed.scheme}://")


@pytest.mark.parametrize("path", ["rel.db", "/abs/x.db", "C:/x", "a b#?"])
def test_a_place_on_this_machine_is_a_path_alone(path: str) -> None:
    """It is given as it is; an empty host, as programs that put URLs together give it, is none."""
    assert BackendURL("x", path=path).local_path("x:///rel") == path
    assert BackendURL("x", host="", path=path).local_path("x:///rel") == path


SECRET = "s3cr3t"  # noqa: S105 -- of nothing


@pytest.mark.parametrize(
    "url",
    [
        "x://",
        "x:///",
        "x:///a%00b",
        "x://host/a",
        "x://user@/a",
        "x://@/a",
        f"x://:{SECRET}@/a",
        f"x://user:{SECRET}@host:1/a",
        "x://:123/a",
        f"x://:{SECRET}@",
    ],
)
def test_what_is_more_than_a_place_on_this_machine_is_refused(url: str) -> None:
    """As is what names none; the error shows how to write it, and no secret."""
    with pytest.raises(BackendURLError, match=r"names a place .*, by its path alone: x:///rel$") as caught:
        BackendURL.parse(url).local_path("x:///rel")
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_password_is_never_shown() -> None:
    """Neither in the text nor the repr, nor is the query, where a secret may stand too; the rest is."""
    url = BackendURL.parse(f"redis://user:{SECRET}@host:1/a%20b?token={SECRET}")
    assert url.password == SECRET
    assert str(url) == "redis://user:***@host:1/a%20b"
    assert SECRET not in repr(url)
    assert str(BackendURL.parse("redis://[::1]:6379/0")) == "redis://[::1]:6379/0"
    assert str(BackendURL.parse(f"redis://:{SECRET}@h")) == "redis://:***@h"
    assert str(BackendURL.parse("memory://")) == "memory://"
    assert str(BackendURL.parse("redis://a%2Fb%3Ac@h/d")) == "redis://a%2Fb%3Ac@h/d"
    assert str(BackendURL.parse("postgresql://%2Fvar%2Frun/d")) == "postgresql://%2Fvar%2Frun/d"
    assert str(BackendURL("redis", None, SECRET, "h")) == "redis://:***@h"


def test_a_url_can_be_copied_and_pickled() -> None:
    """With its password and options, for a pool of processes."""
    url = BackendURL.parse("redis://u:p@h:1/db?a=1")
    assert pickle.loads(pickle.dumps(url)) == copy.deepcopy(url) == url  # noqa: S301 -- of our own making
