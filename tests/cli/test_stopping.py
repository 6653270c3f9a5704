"""Signals while something trains: which ones are one, and which end it at once."""

import signal
from types import SimpleNamespace

import pytest
from nlpseq.cli import _app as _run, _shutdown as _stopping
from nlpseq.cli._app import Terminated
from nlpseq.cli._shutdown import GracefulShutdown


@pytest.fixture
def clock(monkeypatch):
    """[seconds], which a test may set."""
    now = [100.0]
    monkeypatch.setattr(_run, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(_stopping, "console", lambda: Silent())
    return now


class Silent:
    def say(self, message):
        pass


def test_what_timeout_sends_twice_is_one_signal(clock):
    with GracefulShutdown() as stop:
        signal.raise_signal(signal.SIGTERM)
        clock[0] += 0.1
        signal.raise_signal(signal.SIGTERM)
        assert stop.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(("number", "error"), [("SIGINT", KeyboardInterrupt), ("SIGTERM", Terminated)])
def test_a_signal_that_comes_later_ends_it_at_once(clock, number, error):
    with pytest.raises(error), GracefulShutdown():
        signal.raise_signal(signal.SIGINT)
        clock[0] += 0.6
        signal.raise_signal(getattr(signal, number))
