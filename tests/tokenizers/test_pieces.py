"""Pieces of long lines."""

from hypothesis import given, strategies as st

from nlpseq.tokenizers.pieces import pieces


@given(st.text("ab \t한"), st.integers(1, 9), st.integers(1, 9))
def test_pieces_keep_all_characters_in_bounds(text, max_chars, max_run):
    found = list(pieces(text, max(max_chars, max_run), max_run))
    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(len(piece) <= max(max_chars, max_run) for piece in found)


def test_lines_are_cut_before_white_space():
    assert list(pieces("ab cd efg", 5, 5)) == ["ab cd", " efg"]
    assert list(pieces("abcdefg", 5, 3)) == ["abc", " def", " g"]


def test_pieces_are_valid_strings_of_c():
    assert list(pieces("a\0b\udc80")) == ["a\ufffdb\ufffd"]
