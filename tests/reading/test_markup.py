"""HTML in plain text gives one warning; text about HTML, or with signs like it, gives none."""

import pytest

from nlpseq.reading.markup import MarkupSample

REVIEW = b"Great &amp; cheap.<br /><br>\nIt&#39;s <p class=x>mine</P>, a < b > c\n"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (REVIEW * 4, "(<br>, <p>, &amp;, &#39;)"),
        (REVIEW, "(<br>, <p>, &amp;, &#39;)"),
        (b"Great &amp; cheap<br>\n", None),  # too little
        (REVIEW + b"plain words\n" * 300, None),
        (b"if a<b and c>d: f(x) && g; List<p3>, AT&T; <unk> <s>\n" * 99, None),
    ],
)
def test_markup_in_many_lines_gives_a_warning(text, named):
    found = MarkupSample().add(text, "a.txt")
    assert (found is not None) == (named is not None)
    assert found is None or found.startswith(f"a.txt: holds HTML {named}")


def test_markup_is_counted_at_the_start_of_each_file():
    sample = MarkupSample()
    assert sample.add(b"plain\n", "a.txt") is sample.add(REVIEW * 9, "a.txt") is None
    assert sample.add(REVIEW * 9, "b.txt").startswith("b.txt: holds HTML")
    assert sample.add(b"plain\n" * 9999, "c.txt") is None
