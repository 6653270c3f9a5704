"""Errors name options, and their arguments in Python."""

import pickle

from nlpseq.errors import DataError, UnknownWord, advise


def test_note_names_the_arguments_of_options() -> None:
    error = DataError("a: is bad. Lower --min-count (or --dim 5), or use --force; `zstd -d --long=31` helps.")
    note = "In Python, --min-count is min_count=, --dim is dim=, --force is force=True."
    assert error.__notes__ == pickle.loads(pickle.dumps(error)).__notes__ == [note]
    assert "In Python" not in str(error)
    assert not hasattr(DataError("a: is bad - or - worse. Leave it out."), "__notes__")


def test_advice_names_settings_that_have_an_effect() -> None:
    settings = {"--subsample 0": (1e-5, 0.0), "a lower --min-count": (2000, 1), "--max-vocab": (None, None)}
    text = "Use --subsample 0 (it is 1e-05), a lower --min-count (it is 2,000), or more text."
    assert advise(settings, "more text") == text
    assert advise({"--subsample 0": (0.0, 0.0)}, "more text") == "Use more text."


def test_unknown_word_is_a_key_error_with_its_message() -> None:
    error = UnknownWord("'queens': is unknown. Did you mean queen?")
    assert isinstance(error, KeyError) and error.exit_code == DataError.exit_code
    assert str(error) == "'queens': is unknown. Did you mean queen?"
