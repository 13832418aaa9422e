"""What is changed in a line: mutmut's operators, and those that it lacks.

mutmut brings arguments, assignments, comparisons, numbers, texts and keywords. Of ours are: branches forced one way,
statements left out, loops that never begin, handlers that let their exception pass, and SQL, which is program as well.

Not changed are docstrings, annotations, imports, decorators, what only type checkers read, what is raised and how it is
worded: a text with a space in it that is no SQL is taken for wording.
"""

import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

cst: Any = import_module("libcst")  # mutmut brings it; neither is a requirement of anything but this proof
_mutators: Any = import_module("mutmut.mutation.mutators")

Change = tuple[str, Any, str]
"""The operator's name, the node that is replaced, and the code that stands there instead."""

# mutmut's own for texts would change the letters of SQL, to which SQLite is deaf; that for arguments, wording.
_REPLACED = (_mutators.operator_string, _mutators.operator_arg_removal)
_OF_MUTMUT = [pair for pair in _mutators.mutation_operators if pair[1] not in _REPLACED]

_UNCHANGED = (cst.Annotation, cst.Import, cst.ImportFrom, cst.Decorator, cst.Assert, cst.TypeAlias)
_UNCHANGED_CALLS = {"cast", "isinstance", "warn_caller", "TypeVar", "len", "shown"}

_SQL = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|CREATE|WHERE|VALUES|ORDER BY|PRAGMA|BEGIN|AND|LIMIT|EXISTS)\b")
_SQL_CHANGES = [
    (r"<=", "<"),
    (r">=", ">"),
    (r"(?<![<>])<(?![<>=])", "<="),
    (r"(?<![<>])>(?![<>=])", ">="),
    (r"(?<![<>!])= \?", "!= ?"),
    (r"(?<=WHERE )(\S+) = ", r"\1 != "),
    (r"\bIS NOT\b", "IS"),
    (r"\bIS (?!NOT\b)", "IS NOT "),
    (r"(?<!BETWEEN \? )\bAND\b", "OR"),
    (r"\bOR\b(?! (?:IGNORE|REPLACE))", "AND"),
    (r"\bOR (?:IGNORE|REPLACE)\b", ""),
    (r" DESC\b", ""),
    (r"\bmax\(", "min("),
    (r"\bmin\(", "max("),
    (r"\bNOT (?=EXISTS|IN\b)", ""),
    (r"\bDISTINCT ", ""),
    (r"\bUNION ALL\b", "UNION"),
    (r" \+ 1\b", ""),
    (r" - 1\b", ""),
    (r" \+ ", " - "),
    (r" - ", " + "),
    (r"<< 32", "<< 31"),
    (r">> 32", ">> 31"),
    (r"(?<=LIMIT )1\b", "2"),
    (r"(?<== )0\b", "1"),
    (r"(?<== )1\b", "0"),
    (r"(?<=, )0\b", "1"),
    (r"\bifnull\((\w+), (\w+)\)", r"\1"),
    (r" WHERE (?=\w)", " WHERE 1 OR "),
    (r"\bAFTER (INSERT|DELETE|UPDATE)\b", r"BEFORE \1"),
    (r"\bcoalesce\(", "nullif("),
]


def changes(node: Any) -> Iterator[Change]:
    """Everything that is tried at this node; what is below it is asked for itself."""
    for kind, operator in _OF_MUTMUT:
        if isinstance(node, kind):
            name = operator.__name__.removeprefix("operator_")
            for mutated in operator(node):
                yield name, node, code(mutated)
    for name, change in _OURS.items():
        for place, text in change(node):
            yield name, place, text


def is_left_alone(node: Any) -> bool:
    """Whether nothing is changed in this node and below."""
    if isinstance(node, _UNCHANGED):
        return True
    if isinstance(node, cst.Call):
        return isinstance(node.func, cst.Name) and node.func.value in _UNCHANGED_CALLS
    if isinstance(node, cst.If):
        return bool(code(node.test) == "TYPE_CHECKING")
    if isinstance(node, cst.Assign):
        targets = {code(target.target) for target in node.targets}
        return bool(targets & {"msg", "__all__", "__slots__"})
    return isinstance(node, cst.Expr) and isinstance(node.value, cst.SimpleString | cst.ConcatenatedString)


def is_whole(node: Any) -> bool:
    """Whether the node may be changed, but nothing below: what is raised may be missing, however it is worded."""
    return isinstance(node, cst.Raise)


def code(node: Any) -> str:
    """The node's text, with the whitespace that belongs to it."""
    return str(cst.Module([]).code_for_node(node))


def is_wording(node: Any) -> bool:
    """Whether it is a text for people: one with a space in it that is no SQL."""
    if isinstance(node, cst.SimpleString | cst.FormattedString):
        text = code(node)
        return " " in text and not _SQL.search(text)
    return False


def _branches(node: Any) -> Iterator[tuple[Any, str]]:
    """A condition that always holds, and one that never does."""
    if isinstance(node, cst.If | cst.While | cst.CompIf):
        test = code(node.test)
        yield node.test, f"(({test}) and False)"
        if not isinstance(node, cst.While):
            yield node.test, f"(({test}) or True)"
    if isinstance(node, cst.BooleanOperation):
        for side in (node.left, node.right):
            yield node, f"({code(side)})"


def _statements(node: Any) -> Iterator[tuple[Any, str]]:
    """A statement that is not there."""
    if isinstance(node, cst.Expr) and isinstance(node.value, cst.Call | cst.Await):
        yield node, "pass"
    if isinstance(node, cst.AugAssign | cst.Del | cst.Continue | cst.Raise):
        yield node, "pass"
    if isinstance(node, cst.Return) and node.value is not None and code(node.value) not in {"None", "False"}:
        yield node, "return None"
    if isinstance(node, cst.Assign) and isinstance(node.targets[0].target, cst.Attribute | cst.Subscript):
        yield node, "pass"


def _loops(node: Any) -> Iterator[tuple[Any, str]]:
    """A loop without a turn."""
    if isinstance(node, cst.For | cst.CompFor):
        yield node.iter, "()"


def _handlers(node: Any) -> Iterator[tuple[Any, str]]:
    """A handler that handles nothing."""
    if isinstance(node, cst.ExceptHandler) and node.type is not None:
        yield node.type, "()"


def _arguments(node: Any) -> Iterator[tuple[Any, str]]:
    """An argument that is None, and one that is not there."""
    if not isinstance(node, cst.Call):
        return
    for i, argument in enumerate(node.args):
        if is_wording(argument.value):
            continue
        if not argument.star and code(argument.value) != "None":
            yield argument.value, "None"
        if len(node.args) > 1:
            yield node, code(node.with_changes(args=[*node.args[:i], *node.args[i + 1 :]]))


def _numbers(node: Any) -> Iterator[tuple[Any, str]]:
    """One less; one more is mutmut's."""
    if isinstance(node, cst.Integer):
        yield node, f"({node.evaluated_value - 1})"


def _texts(node: Any) -> Iterator[tuple[Any, str]]:
    """SQL that asks for something else, and words that a machine reads."""
    if not isinstance(node, cst.SimpleString | cst.FormattedStringText):
        return
    text = node.value
    if _SQL.search(text):
        for pattern, replacement in _SQL_CHANGES:
            for found in re.finditer(pattern, text):
                yield node, text[: found.start()] + found.expand(replacement) + text[found.end() :]
    elif isinstance(node, cst.SimpleString) and " " not in text.strip() and '"""' not in text:
        quote = text[-1]
        yield node, f"{text[:-1]}XX{quote}"
        if len(node.raw_value) > 0:
            yield node, f"{node.prefix}{quote}{quote}"


_OURS = {
    "branch": _branches,
    "statement": _statements,
    "loop": _loops,
    "handler": _handlers,
    "argument": _arguments,
    "number": _numbers,
    "text": _texts,
}
