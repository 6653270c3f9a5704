"""The catalog, and English paragraphs from docstrings."""

import os
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest
from support.killing import is_killed_at

from nlpseq.errors import ResourceError

corpora = import_module("nlpseq.corpora")
english = import_module("nlpseq.corpora.english")
pydocs = import_module("nlpseq.corpora.pydocs")

NUMPYDOC = """
Return the sorted ``array`` as
a :class:`~numpy.ndarray`, see [1]_ and https://example.org/sort for more.

.. versionadded:: 1.2
   It is stable when asked to be.

Parameters
----------
a, b : array_like, optional
    The values to be sorted.
*args
    What is handed on to the function,
    and not looked at here.

Returns
-------
ndarray
    An array of the same type.

See Also
--------
argsort : The order of the sorted values.
lexsort

Notes
-----
Each of these is slow::

    for this in that and the other: pass

.. code-block:: python

    this is not a sentence of the text

but it is the only one with :math:`O(n)` steps.

==  ==
of  what it is good for and when it was made
==  ==
in  it is the one that is used when there is no other
==  ==

* The first is *quick* and the
  second is not.
* The third is **slow**.
* The fourth is the last.

References
----------
.. [1] A. Author, "The book of the sort".
See also the other book of the same author.

Examples
--------
>>> sort([3, 1, 2])
this is the output of it

The result is a new array:

>>> a
"""

SPHINX = """
    Print the options of the command.

    :param file: where the text
        is written to
    :type file: the name of a type
    :raise OSError: if it is not there

    Args:
        name (str): The name of the command.
        width: How wide the text may be.
"""


def test_numpydoc_becomes_sentences():
    assert list(english.paragraphs(NUMPYDOC)) == [
        "Return the sorted array as a ndarray, see and for more.",
        "It is stable when asked to be.",
        "The values to be sorted.",
        "What is handed on to the function, and not looked at here.",
        "An array of the same type.",
        "The order of the sorted values.",
        "Each of these is slow:",
        "but it is the only one with steps.",
        "The first is quick and the second is not.",
        "The third is slow.",
        "The fourth is the last.",
        "The result is a new array:",
    ]


def test_indentation_separates_descriptions():
    text = """
        The file is of one of these kinds:
          text
            what is read by the people
            of the house
          binary
            what is read by the rest
        """
    assert list(english.paragraphs(text)) == [
        "The file is of one of these kinds:",
        "text what is read by the people of the house",
        "binary what is read by the rest",
    ]


def test_field_lists_become_sentences():
    assert list(english.paragraphs(SPHINX)) == [
        "Print the options of the command.",
        "where the text is written to",
        "if it is not there",
        "The name of the command.",
        "How wide the text may be.",
    ]


@pytest.mark.parametrize(
    ("marked_up", "plain"),
    [
        ("Use the :func:`sort` of the list.", "Use the sort of the list."),
        ("Use the :meth:`~a.b.sort` of the list.", "Use the sort of the list."),
        ("See `the book <https://example.org>`_ for it.", "See the book for it."),
        ("The `link`_ is at <http://example.org/>.", "The link is at."),
        ("The C{list} of the *most* and **least**.", "The list of the most and least."),
        ("It is given *args and **kwargs as they are.", "It is given *args and **kwargs as they are."),
        ("It is either ``a < b`` or ``<!x`` of the ``c``.", "It is either a < b or <!x of the c."),
        ("If the file .netrc is in the folder.", "If the file .netrc is in the folder."),
        ("The %(name)s of  the\tthing is $x^2$ here.", "The of the thing is here."),
    ],
)
def test_markup_is_removed(marked_up, plain):
    assert list(english.paragraphs(marked_up)) == [plain]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Too short is",
        "alpha beta gamma delta epsilon zeta",  # a list of names
        "f(x, y[, z]) -> (a + b) * c ** 2 / 3 if a != b",  # a formula
        "-----\n=====",
    ],
)
def test_text_without_sentences_is_dropped(text):
    assert list(english.paragraphs(text)) == []


def test_docstrings_keep_the_order_of_the_file():
    source = b'''"""The module."""
import no_such_module
raise SystemExit("parsed, never run")
add_newdoc("module", "name", """The added one.""")
class A:
    """The class."""
    def f(self):
        """The method."""
        def g():
            """The inner one."""
    x = "no docstring"
async def h():
    """The last \\d one."""
'''
    docs = [text for text in english.docstrings(source) if text.startswith("The")]
    assert docs == [
        "The module.",
        "The added one.",
        "The class.",
        "The method.",
        "The inner one.",
        "The last \\d one.",
    ]


@pytest.mark.parametrize("source", [b"print 'old'", b"\0", b"# coding: nonsense\n"])
def test_unparsable_file_has_no_docstrings(source):
    assert "".join(english.docstrings(source)) == ""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Write a package of three documented files, and files to skip."""
    monkeypatch.setenv("NLPSEQ_CACHE_DIR", str(tmp_path / "cache"))
    root = tmp_path / "package"
    for name in ("b.py", "a.py", "sub/c.py", "tests/d.py", "_vendor/e.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f'"""This is the file {name[-4]}.\n\nIt is said in all of them."""', "utf-8")
    (root / "huge.py").write_text('"""It is the table."""' + " " * pydocs.MAX_FILE_BYTES)
    return root


def test_build_keeps_order_and_drops_duplicates(package):
    text = pydocs.build([("package 1", package)])
    assert text.read_text("utf-8").splitlines() == [
        "This is the file a.",
        "It is said in all of them.",
        "This is the file b.",
        "This is the file c.",
    ]
    assert [file.name for file in text.parent.iterdir()] == [text.name]


def test_build_is_cached_until_a_version_changes(package):
    first = pydocs.build([("package 1", package)])
    content = first.read_text("utf-8")
    (package / "a.py").write_text('"""This is not the file you know."""')
    assert pydocs.build([("package 1", package)]) == first
    assert first.read_text("utf-8") == content
    second = pydocs.build([("package 2", package)])
    assert second != first
    assert "you know" in second.read_text("utf-8")


def test_build_stops_at_max_words(package):
    text = pydocs.build([("package 1", package)], max_words=17)
    assert len(text.read_text("utf-8").split()) == 17


def test_failed_build_leaves_no_files(package, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(ResourceError, match="the disk ran full"):
        pydocs.build([("package 1", package)])
    assert list((package.parent / "cache" / "corpora").iterdir()) == []


def test_next_build_removes_files_of_a_killed_build(package):
    assert is_killed_at(1, lambda: pydocs.build([("package 1", package)]), ["os.rename"])
    folder = package.parent / "cache" / "corpora"
    assert len([*folder.iterdir()]) > 0
    text = pydocs.build([("package 2", package)])
    assert [*folder.iterdir()] == [text]


def test_python_files_are_sorted(tmp_path):
    names = [f"{number * 7 % 50:02}.py" for number in range(50)]
    for name in names:
        (tmp_path / name).touch()
    assert [file.name for file in pydocs.python_files(tmp_path)] == sorted(names)


def test_sources_are_python_and_installed_packages():
    sources = dict(pydocs.installed_sources())
    names = [name.split()[0] for name in sources]
    assert names[:4] == ["python", "numpy", "scipy", "numba"]
    assert f"numpy {version('numpy')}" in sources
    python, *packages = sources.values()
    assert len(pydocs.python_files(python)) > 300
    assert all((root / "__init__.py").exists() for root in packages)


def test_docstrings_of_argparse_are_english():
    found = english.docstrings(Path(sys.modules["argparse"].__file__).read_bytes())
    text = "\n".join(text for docstring in found for text in english.paragraphs(docstring))
    assert "Object for parsing command line strings into Python objects." in text
    assert ">>>" not in text
    assert "``" not in text


def test_catalog_finds_every_corpus(monkeypatch):
    assert [entry.name for entry in corpora.names()][:2] == ["pydocs", "tiny"]
    assert all(entry.summary and entry.licence for entry in corpora.names())
    assert corpora.find("no such corpus") is None
    lines = corpora.find("tiny").read_text("utf-8").splitlines()
    assert len(lines) > 200
    assert sum("Monday" in line for line in lines) >= 5
    monkeypatch.setattr(pydocs, "build", lambda: Path("built"))
    assert corpora.find("pydocs") == Path("built")


def test_skipped_folders_are_never_listed(tmp_path, monkeypatch):
    for name in ("a.py", "b/c.py", "b/tests/d.py", "site-packages/torch/e.py", "b/text.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    listed, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(Path(path).name) or scandir(path))
    assert pydocs.python_files(tmp_path) == [tmp_path / "a.py", tmp_path / "b" / "c.py"]
    assert not {"tests", "site-packages", "torch"} & {*listed}
