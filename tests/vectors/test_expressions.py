"""Expressions of words: every word can be written, and errors name the wrong part."""

import pytest
from hypothesis import given, strategies as st

from nlpseq.errors import ConfigError
from nlpseq.vectors.expressions import Term, parse_expression

TEXTS = st.text(st.sampled_from('ab1.*+-" \t\u00a0é왕'), min_size=1, max_size=5)
WEIGHTS = st.sampled_from(["", "2*", ".5*", "-3*", "1e-3*", "+0.25*"])
SPACES = st.text(st.sampled_from(" \t\r\n"), min_size=1, max_size=3)


def written(text: str) -> str:
    """Return a text in an expression, with quotation marks if needed."""
    needs_quotes = text in ("+", "-") or any(char in '*" \t' for char in text)
    return '"' + text.replace('"', '""') + '"' if needs_quotes else text


@given(
    st.lists(
        st.tuples(st.sampled_from("+-"), WEIGHTS, TEXTS), min_size=1, max_size=5, unique_by=lambda t: t[2]
    ),
    st.data(),
)
def test_written_terms_are_parsed(terms, data) -> None:
    parts = [part for sign, weight, text in terms for part in (sign, weight + written(text))]
    parts = parts[1:] if terms[0][0] == "+" and data.draw(st.booleans()) else parts
    expression = "".join(part + data.draw(SPACES) for part in parts)
    found = parse_expression(expression)
    assert [term.text for term in found] == [text for _, _, text in terms]
    assert [term.is_quoted for term in found] == [written(text).startswith('"') for _, _, text in terms]
    expected = [float(sign + "1") * float(weight.rstrip("*") or 1) for sign, weight, _ in terms]
    assert [term.weight for term in found] == expected


@given(st.text(st.sampled_from('ab2.*+-" \t'), max_size=12))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        terms = parse_expression(text)
    except ConfigError as error:
        assert str(error).startswith("expression: ")
    else:
        assert terms and all(term.text for term in terms)


def test_signs_inside_words_are_letters() -> None:
    found = parse_expression("-5 - well-known + c++ + 'a")
    assert found == [Term(1, "-5"), Term(-1, "well-known"), Term(1, "c++"), Term(1, "'a")]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "is empty"),
        (" \t", "is empty"),
        ("king -", "ends with -"),
        ("+", r"ends with \+"),
        ("king - + man", r"\+ stands where a word is expected"),
        ("king man", r'man is not \+ or -\. .*, "king man"'),
        ("king * man", r"\* is not \+ or -"),
        ("king \u2212 man", "\u2212 is not \\+ or -"),
        ("x*king", r"the weight of x\*king is not a finite number"),
        ("nan*king", "not a finite number"),
        ("1e999*king", "not a finite number"),
        ("1_0*king", "not a finite number"),
        ("٢*king", "not a finite number"),
        ("2*", r"2\* has no word"),
        ('king + ""', "has no word"),
        ("king + man - king", r"king occurs twice\. .*`2\*king`"),
        ('"king" + king', "king occurs twice"),
    ],
)
def test_malformed_expression_is_refused(expression: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^expression: .*{message}"):
        parse_expression(expression)
