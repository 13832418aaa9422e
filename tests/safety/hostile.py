"""Keys and keywords that want to be something else: paths, names that a system reserves, syntax of queries."""

import unicodedata
from collections.abc import Callable

from hypothesis import strategies as st

_DEVICES = ["CON", "con", "NUL", "aux", "PRN", "COM1", "com9", "LPT¹", "CONIN$", "CLOCK$", "nul.txt", "con.", "aux "]
_PATHS = [
    *("..", ".", "../..", "/etc/passwd", "/", "//", "\\", "..\\..", "C:", "C:\\Windows", "c:x", "\\\\server\\share\\x"),
    *("\\\\?\\C:\\x", "\\\\.\\pipe\\x", "file:///etc/passwd", "~", "~root", "$HOME", "%2e%2e%2f", "%252e", "%00", "%"),
    *("a:stream", "a::$DATA", "PROGRA~1", "a.jsonl", "a.jsonl.tmp", "a.jsonl.corrupt", ".revisions", ".hidden", "-rf"),
    *(
        "a.",
        "a ",
        "a\t",
        "a\n",
        "a\r\nb",
        "a\x1b[2J",
        "-wal",
        "-lock",
        "*",
        "?",
        "a|b",
        "`id`",
        "$(id)",
        "a;b",
        "'",
        '"',
    ),
]
# By case, by normal form, by what looks alike: Turkish i, sharp s, Kelvin, Angstrom, Ohm, ligatures, final sigma.
_TWINS = [
    *("A", "a", "I", "i", "\u0130", "\u0131", "\xdf", "\u1e9e", "ss", "\u212a", "k", "K", "\u212b", "\xc5", "a\u030a"),
    *("\xe5", "\ufb01", "fi", "\u2126", "\u03a9", "\u03c2", "\u03c3", "\u202egnp.exe", "a\u200d", "a\u200b", "a\ufeff"),
    *("\u0345", "\xbd", "\uff11", "\u2460", "\u01c6", "\u01c5", "\U0001f600", "e\u0301", "\xe9", "\u2024\u2024\uff0f"),
]

_PIECES = st.sampled_from([*_DEVICES, *_PATHS, *_TWINS])
_ANY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)

keys = (
    st.lists(_PIECES | _ANY, min_size=1, max_size=4)
    .map("".join)
    .flatmap(lambda key: st.sampled_from([key, key * 40, key + "x" * 110]))
    .filter(lambda key: 1 <= len(key.encode()) <= 1024)
)
"""Any key, and mostly one that is a path, a device or nearly another key; many are so long that they are hashed."""

_OPERATORS = [
    *(
        '"',
        "'",
        "*",
        "^",
        "+",
        "-",
        ":",
        "(",
        ")",
        "{",
        "}",
        ",",
        ".",
        "\\",
        ";",
        "--",
        "/*",
        "|",
        "&",
        "!",
        "<->",
        "@@",
        "~",
    ),
    *("AND", "OR", "NOT", "NEAR", "NEAR(", "NEAR(a b, 2)", "text:", "{text}:", "- text:", "terms", "rowid", "rank"),
    *(
        "%",
        "_",
        "?",
        "[",
        "]",
        "[a-z]",
        ".*",
        "a.*",
        "(?i)",
        "$",
        "^a",
        "@text:",
        "@text:(a)",
        "=>",
        "{$weight: 2}",
        "a*",
    ),
    *(
        "' OR 1=1",
        "'; DROP TABLE sessions; --",
        '" OR "',
        "\\'",
        "MATCH",
        "GLOB",
        "LIKE",
        "NULL",
        ":*",
        "a:*",
        "\n",
        "\0",
    ),
]
_WORDS = [
    "alpha",
    "Beta",
    "gamma_ray",
    "o'hara",
    "50%",
    "a",
    "or",
    "near",
    "text",
    "日本",
    "日",
    "straße",
    "STRASSE",
    "x1",
]

words = st.lists(st.sampled_from(_WORDS) | st.sampled_from(_OPERATORS), min_size=0, max_size=5).map(" ".join)
"""Texts of messages, with all that some query language might take for an operator."""

keywords = st.lists(st.sampled_from(_OPERATORS) | st.sampled_from(_WORDS) | st.text(max_size=3), max_size=5).flatmap(
    lambda parts: st.sampled_from(["".join(parts), " ".join(parts)])
)
"""What is searched for: the same, and joined so that it looks like a query."""

_IGNORED_BY_HFS = {ord(c): None for c in "\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u206a\u206f\ufeff"}


def _windows(name: str) -> str:
    """Case aside, and what Windows drops at the end of a name and after a colon."""
    return name.split(":", 1)[0].rstrip(". ").upper()


FILE_SYSTEMS: dict[str, Callable[[str], str]] = {
    "casefold": str.casefold,
    "upper": str.upper,
    "NFC": lambda name: unicodedata.normalize("NFC", name),
    "NFD": lambda name: unicodedata.normalize("NFD", name),
    "NFKC and case": lambda name: unicodedata.normalize("NFKC", name).casefold(),
    "Windows": _windows,
    "HFS+": lambda name: unicodedata.normalize("NFD", name.translate(_IGNORED_BY_HFS)).casefold(),
    "latin-1": lambda name: name.encode("latin-1", "replace").decode("latin-1"),
    "255 bytes": lambda name: name.encode()[:255].decode(errors="ignore"),
}
"""How file systems compare names: two that come to the same here are one file there."""
