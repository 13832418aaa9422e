"""The mutants of a module: each its whole source with one change, and what must be swapped to bring it about."""

import re
from collections.abc import Iterator
from importlib import import_module
from itertools import accumulate
from pathlib import Path
from types import CodeType
from typing import Any

import attrs

from tests.mutation.operators import changes, cst, is_left_alone, is_whole

_metadata: Any = import_module("libcst.metadata")

_FUNCTION = 1  # CO_OPTIMIZED: the code of a function, not of a module or of the body of a class


@attrs.frozen
class Mutant:
    """A module with one change.

    Attributes:
        path: the module's file, from the root of the checkout.
        line: where the change is.
        lines: the first and the last line of its statement; a test that never comes by need not be asked.
        around: the lines of its function, for a statement that the compiler made none of its own of.
        nth: which of several that look alike.
        functions: the outermost functions whose code is another; None where the module must be imported anew.
    """

    path: str
    line: int
    lines: tuple[int, int]
    around: frozenset[int]
    operator: str
    before: str
    after: str
    nth: int
    functions: tuple[str, ...] | None
    source: str = attrs.field(repr=False, eq=False)

    @property
    def name(self) -> tuple[str, str, str, int]:
        """The same after lines above it have come or gone."""
        return self.path, self.before, self.after, self.nth


def mutants_of(path: Path, root: Path) -> Iterator[Mutant]:
    """Every mutant of the module that compiles, and not to the same code."""
    source = path.read_text(encoding="utf-8")
    plain = codes(source, path)
    starts = [0, *accumulate(map(len, source.splitlines(keepends=True)))]
    alike: dict[tuple[str, str], int] = {}
    met: set[Any] = set()
    for operator, text, place, lines in _changes(source):
        begin, end = (starts[row - 1] + column for row, column in place)
        mutated = source[:begin] + text + source[end:]
        try:
            compiled = codes(mutated, path)
        except (SyntaxError, ValueError):
            continue
        changed = {name for name in plain | compiled if _content(plain.get(name)) != _content(compiled.get(name))}
        content = tuple(sorted((name, str(_content(compiled.get(name)))) for name in changed))
        if not changed or content in met:
            continue
        met.add(content)
        before, after = _shown(source, begin, end, text)
        nth = alike[before, after] = alike.get((before, after), -1) + 1
        line = source.count("\n", 0, begin + len(text) - len(text.lstrip())) + 1
        on_import = any(not name or name.rpartition(".")[2].startswith("<") for name in changed)
        functions = None if on_import else tuple(sorted(changed))
        around = frozenset().union(*(_lines(plain[name]) for name in functions or () if name in plain))
        yield Mutant(str(path.relative_to(root)), line, lines, around, operator, before, after, nth, functions, mutated)


def codes(source: str, path: Path) -> dict[str, CodeType]:
    """The code of each outermost function by its qualified name; of all that runs on import by the empty one."""
    module = compile(source, str(path), "exec", dont_inherit=True)
    found = {"": module}
    bodies = [module]
    for body in bodies:
        for constant in body.co_consts:
            if isinstance(constant, CodeType):
                if constant.co_flags & _FUNCTION:
                    found[constant.co_qualname] = constant
                else:
                    bodies.append(constant)
    return found


def _lines(made: CodeType) -> set[int]:
    return {line for _, _, line in made.co_lines() if line}


def _content(made: CodeType | None) -> Any:
    """What the code does, wherever it stands; of what runs on import, without the functions in it."""
    if made is None:
        return None
    is_function = made.co_flags & _FUNCTION
    constants: list[Any] = []
    for constant in made.co_consts:
        if not isinstance(constant, CodeType):
            constants.append((type(constant).__name__, repr(constant)))
        elif is_function or not constant.co_flags & _FUNCTION:
            constants.append(_content(constant))
    return made.co_code, made.co_names, made.co_varnames, made.co_freevars, made.co_exceptiontable, constants


def _changes(source: str) -> Iterator[tuple[str, str, tuple[Any, Any], tuple[int, int]]]:
    """The operator, the new text, from where to where it stands, and the lines of the statement."""
    wrapper = _metadata.MetadataWrapper(cst.parse_module(source), unsafe_skip_copy=True)
    spans = wrapper.resolve(_metadata.WhitespaceInclusivePositionProvider)
    lines = wrapper.resolve(_metadata.PositionProvider)

    def within(node: Any, statement: tuple[int, int]) -> Iterator[Any]:
        if is_left_alone(node):
            return
        if isinstance(node, cst.SimpleStatementLine):
            statement = (lines[node].start.line, lines[node].end.line)
        for operator, place, text in changes(node):
            span = spans[place]
            at = statement if statement[0] else (lines[place].start.line, lines[place].end.line)
            yield operator, text, ((span.start.line, span.start.column), (span.end.line, span.end.column)), at
        for child in () if is_whole(node) else node.children:
            yield from within(child, (0, 0) if isinstance(child, cst.BaseSuite) else statement)

    yield from within(wrapper.module, (0, 0))


def _shown(source: str, begin: int, end: int, text: str) -> tuple[str, str]:
    """The lines with the change in them, before and after, on one line each."""
    left = source.rfind("\n", 0, begin) + 1
    right = source.find("\n", end)
    before, after = source[left:right], source[left:begin] + text + source[end:right]
    return re.sub(r"\s+", " ", before).strip(), re.sub(r"\s+", " ", after).strip()
