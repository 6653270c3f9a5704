"""English paragraphs from the docstrings of Python source, parsed and never imported.

`python -m nlpseq.corpora.english` reads a JSON list of paths from stdin and writes a list of paragraphs for
each, so that several processes can share the files.
"""

import ast
import json
import re
import signal
import sys
import warnings
from collections.abc import Iterable, Iterator
from inspect import cleandoc
from itertools import pairwise
from pathlib import Path

__all__ = ["docstrings", "paragraphs"]

_DOC_CALLS = {
    "add_newdoc",
    "add_docstr",
    "_add_docstr",
}  # set docstrings of compiled NumPy, SciPy and PyTorch

# numpydoc sections with names and types on unindented lines, and sections without sentences
_NAMED_SECTIONS = {"parameters", "other parameters", "attributes", "methods"}
_NAMED_SECTIONS |= {"returns", "yields", "raises", "warns"}
_SILENT_SECTIONS = {"references", "routine listings"}
_PROSE_DIRECTIVES = {"note", "warning", "tip", "important", "versionadded", "versionchanged", "deprecated"}

_DOCTEST = (">>>", "...", "In [", "Out[", "$ ", "% ")
_RULER = re.compile(r"([=\-~^*#+\"'`.])\1{2,}")
_TABLE = re.compile(r"[=-]{2,}(\s+[=-]{2,})+|[+|].*")
_DIRECTIVE = re.compile(r"\.\. ([\w-]+)::\s*(.*)")
_TYPED_NAME = re.compile(r"[\w*`.]+(?:, [\w*`.]+)* : .+")  # `x : array_like`
_FIELD = re.compile(r"[:@](\w+)(?: [^:]*)?:(?:\s+|$)(.*)")  # `:param x: description`
_NAMED_ENTRY = re.compile(r"\*{0,2}[\w.]+(?: ?\([^)]*\))?:\s+(.*)")  # `x (int): description`
_BULLET = re.compile(r"(?:[-*+•]|\(?\w{1,2}[.)])\s+(.*)")

_MARKUP = [  # (pattern, replacement), applied in order
    (r":math:`[^`]*`|\$\$?[^$]+\$\$?", ""),
    (r"<?(?:https?|ftp)://[^\s>]*>?", ""),
    (r":[\w:+.-]+:`~(?:[\w]+\.)*([^`]*)`", r"\1"),
    (r"(?::[\w:+.-]+:)?`+([^`]*?)\s*(?:<[^`>]*>)?`+_{0,2}", r"\1"),
    (r"\s*\[#?[\w*]+\]_", ""),
    (r"(?<![\w*])(\*\*?|\|)(\w(?:[^*|]*[^\s*|])?)\1(?![\w*])", r"\2"),
    (r"\b[A-Z]\{([^{}]*)\}", r"\1"),
    (r"%\([\w ]*\)[sdr]|`+", ""),
    (r"\s+(?=\s|[,.;:](?:\s|$)|\))", ""),
    (r"\s", " "),
]
_SUBSTITUTIONS = [(re.compile(pattern), kept) for pattern, kept in _MARKUP]

_FUNCTION_WORDS = set(
    re.findall(
        r"\w+",
        "a an and are as at be but by can each for from has have if in is it its may must no not of on one "
        "only or should so than that the their then there these they this to use used was we when where "
        "which will with you",
    )
)


def docstrings(source: bytes) -> Iterator[str]:
    """Yield the docstrings of a module, its classes and functions in the order of the file."""
    pending: list[ast.AST] = [_parse(source)]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            yield from _documenting_strings(node.value)
        pending += reversed([child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)])


def _parse(source: bytes) -> ast.Module:
    """Return the syntax tree, empty if this Python cannot parse the file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # because other people's code has invalid escapes
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError):  # ValueError for a null byte, before Python 3.11.4
            return ast.Module(body=[], type_ignores=[])


def _documenting_strings(call: ast.Call) -> Iterator[str]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in _DOC_CALLS:
        for node in ast.walk(call):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield cleandoc(node.value)


def paragraphs(docstring: str) -> Iterator[str]:
    """Yield the English paragraphs, list items and descriptions of a docstring, without markup."""
    lines = docstring.expandtabs().splitlines()
    for block in _group_lines(_drop_names(_drop_code(lines))):
        text = " ".join(block)
        for pattern, kept in _SUBSTITUTIONS:
            text = pattern.sub(kept, text)
        if _is_english(text):
            yield text.strip()


def _drop_code(lines: Iterable[str]) -> Iterator[str]:
    """Replace doctests, literal blocks, tables and directives by empty lines."""
    skip_deeper_than: int | None = None
    skip_to_blank = False
    for line in lines:
        text = line.strip()
        if not text:
            skip_to_blank = False
            yield ""
            continue
        if skip_deeper_than is not None and _indent(line) > skip_deeper_than:
            continue
        skip_deeper_than = None
        if skip_to_blank or text.startswith(_DOCTEST) or _TABLE.fullmatch(text):
            skip_to_blank = True
            yield ""
        elif text.startswith(".. "):
            directive = _DIRECTIVE.fullmatch(text)
            if directive is None or directive[1] not in _PROSE_DIRECTIVES:
                skip_deeper_than = _indent(line)
            yield ""
        elif text.endswith("::"):
            skip_deeper_than = _indent(line)
            yield line.rstrip(" :") + ":"
        else:
            yield line


def _drop_names(lines: Iterable[str]) -> Iterator[str]:
    """Replace headings, and the names and types above descriptions, by empty lines."""
    section, section_indent = "", 0
    for line, following in pairwise([*lines, ""]):
        text = line.strip()
        if text and _RULER.fullmatch(following.strip()):
            section, section_indent = text.lower(), _indent(line)
            yield ""
            continue
        entry_of = section if _indent(line) <= section_indent else ""  # because entries are unindented
        is_name = _TYPED_NAME.fullmatch(text) and _indent(line) < _indent(following)
        if entry_of == "see also":
            yield ""
            yield re.sub(r"^[^:]*:\s", "", text)
        elif entry_of in _NAMED_SECTIONS or section in _SILENT_SECTIONS or is_name or _RULER.fullmatch(text):
            yield ""
        else:
            yield from _without_field_name(line)


def _without_field_name(line: str) -> Iterator[str]:
    """Start a paragraph with the description of `:param x: description` or `x (int): description`."""
    text = line.strip()
    if field := _FIELD.fullmatch(text):
        yield ""
        yield "" if "type" in field[1] else " " * _indent(line) + field[2]
    elif (entry := _NAMED_ENTRY.fullmatch(text)) and _indent(
        line
    ):  # unindented, a sentence may wrap after a colon
        yield ""
        yield " " * _indent(line) + entry[1]
    else:
        yield line


def _group_lines(lines: Iterable[str]) -> Iterator[list[str]]:
    """Group lines to paragraphs: split at blank lines, list items, colons and falling indentation."""
    block: list[str] = []
    indent = 0
    for line in lines:
        text = line.strip()
        bullet = _BULLET.fullmatch(text)
        if block and (not text or bullet or _indent(line) < indent or block[-1].endswith(":")):
            yield block
            block = []
        if text:
            block.append(bullet[1] if bullet else text)
        indent = _indent(line)
    if block:
        yield block


def _is_english(text: str) -> bool:
    """Return True for sentences, which contain function words, unlike formulas and lists of names."""
    words = text.lower().split()
    letters = sum(char.isalpha() or char == " " for char in text)
    function_words = sum(word in _FUNCTION_WORDS for word in words)
    return len(words) >= 4 and letters >= 0.85 * len(text) and function_words >= 0.1 * len(words)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # because the parent reports Ctrl-C
    sources = (Path(file).read_bytes() for file in json.load(sys.stdin))
    texts = [[text for found in docstrings(source) for text in paragraphs(found)] for source in sources]
    json.dump(texts, sys.stdout)
