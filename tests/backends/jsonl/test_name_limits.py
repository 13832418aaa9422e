"""Where names begin to be hashed, and what is the name of no session: stores that exist rely on both."""

import hashlib

import pytest

from sessionkit_jsonl.names import SUFFIX, file_name, session_key


@pytest.mark.parametrize("key", ["a" * 120, "A" * 40, "." + "a" * 117, "con." + "a" * 114])
def test_a_name_of_the_greatest_length_is_the_key_itself(key: str) -> None:
    """120 characters as it is written, however it is; one more, and it is hashed."""
    name = file_name(key)
    assert len(name) == 120 + len(SUFFIX)
    assert session_key(name) == key
    longer = file_name(f"{key}a")
    assert longer == f"{name[:56]}~{hashlib.sha256(f'{key}a'.encode()).hexdigest()}{SUFFIX}"
    assert session_key(longer) is None


@pytest.mark.parametrize("name", ["a" * 121, "a" * 200, "%ff", "%c3", "caf\udce9", "%41%", "%00", "a~b", ".a", "A"])
def test_what_no_key_is_called_is_said(name: str) -> None:
    """Of a file of somebody else's, of however many characters, and though they are none."""
    with pytest.raises(ValueError, match="is the file name of no session"):
        session_key(f"{name}{SUFFIX}")
