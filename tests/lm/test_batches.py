"""The token stream and its columns against plain lists."""

import random

import numpy as np
import pytest

import nlpseq as ns
from nlpseq.config import TextConfig
from nlpseq.lm.batches import Columns, Stream


@pytest.fixture
def encoded(tmp_path):
    """Return a function from sentence lengths to a dataset and a list of the stream."""

    def encode(lengths, seed=1, **settings):
        chance = random.Random(seed)
        lines = [[chance.choice("abcde") for _ in range(length)] for length in lengths]
        file = tmp_path / f"{len(list(tmp_path.iterdir()))}.txt"
        file.write_text("\n".join(" ".join(line) for line in lines))
        config = TextConfig(tokenizer="whitespace", min_count=1, **settings)
        data = ns.preprocess(ns.open_corpus(file), config, file.with_suffix(".tokens"))
        return data, plain_stream(data)

    return encode


def plain_stream(data):
    """Return all sentences, each with <eos>, as a list."""
    stream = []
    for sentence in range(data.num_sentences):
        stream += data.tokens[data.sentences[sentence] : data.sentences[sentence + 1]].tolist()
        stream.append(data.vocab.ids["<eos>"])
    return stream


def around(stream, start, stop):
    return [stream[position % len(stream)] for position in range(start, stop)]


@pytest.mark.parametrize("lengths", [[1], [5], [1, 1, 1], [3, 1, 2], [1, 9, 1, 1, 4], [30, 1, 30]])
def test_stream_read_matches_list(encoded, lengths):
    data, wanted = encoded(lengths)
    stream = Stream(data)
    assert len(stream) == len(wanted) == sum(lengths) + len(lengths)
    size = len(stream)
    for start in range(-size - 2, 2 * size + 2):
        for stop in range(start, start + min(size + 3, 12)):
            assert stream.read(start, stop).tolist() == around(wanted, start, stop), (start, stop)
    for turns in (1, 3):  # more than a whole turn
        assert stream.read(-1, turns * size + 2).tolist() == around(wanted, -1, turns * size + 2)


def test_stream_read_matches_list_of_long_text(encoded):
    chance = random.Random(3)
    data, wanted = encoded([1 + int(chance.expovariate(0.1)) for _ in range(300)])
    stream = Stream(data)
    for _ in range(300):
        start = chance.randrange(-len(wanted), 2 * len(wanted))
        stop = start + chance.randrange(0, 2 * len(wanted))
        assert stream.read(start, stop).tolist() == around(wanted, start, stop)


def test_stream_of_split_has_its_sentences_only(encoded):
    data, whole = encoded([3] * 20, valid_share=0.25, test_share=0.25)
    streams = [Stream(data.split(name)) for name in ("train", "valid", "test")]
    pieces = [stream.read(0, len(stream)).tolist() for stream in streams]
    assert sum(pieces, []) == whole  # noqa: RUF017
    assert all(pieces)
    assert streams[1].read(-1, 1).tolist() == [data.vocab.ids["<eos>"], pieces[1][0]]


@pytest.mark.parametrize("batch_size", [1, 3, 4, 7])
@pytest.mark.parametrize("rows", [1, 2, 5, 100])
@pytest.mark.parametrize("read_ahead", [1, 4, 1024])
def test_windows_predict_every_token_once(encoded, batch_size, rows, read_ahead):
    data, stream = encoded([3, 1, 2, 7, 1, 4, 9, 2])
    columns = Columns(Stream(data), batch_size, read_ahead=read_ahead)
    assert columns.length == len(stream) // batch_size
    windows = [
        columns.window(start, min(start + rows, columns.length)) for start in range(0, columns.length, rows)
    ]
    inputs_TB, targets_TB = (np.concatenate(each) for each in zip(*windows, strict=True))
    read = columns.length * batch_size
    assert targets_TB.T.flatten().tolist() == stream[:read]
    assert inputs_TB.T.flatten().tolist() == [stream[-1], *stream[: read - 1]]
    assert inputs_TB[0, 0] == data.vocab.ids["<eos>"]


def test_windows_read_in_any_order_are_equal(encoded):
    data, stream = encoded([4, 2, 8, 1, 6, 5])
    columns = Columns(Stream(data), 2, read_ahead=3)
    chance = random.Random(1)
    for _ in range(200):
        start = chance.randrange(columns.length)
        stop = chance.randrange(start, columns.length) + 1
        inputs_TB, targets_TB = columns.window(start, stop)
        for column, first in enumerate(columns.starts):
            assert targets_TB[:, column].tolist() == stream[first + start : first + stop]
            assert inputs_TB[:, column].tolist() == around(stream, first + start - 1, first + stop - 1)


@pytest.mark.parametrize("rotation", [0, 1, 9, 25])
def test_rotation_moves_column_borders(encoded, rotation):
    data, stream = encoded([4, 2, 8, 1, 6, 5])
    columns = Columns(Stream(data), 3, rotation)
    inputs_TB, targets_TB = columns.window(0, columns.length)
    read = 3 * columns.length
    assert targets_TB.T.flatten().tolist() == around(stream, rotation, rotation + read)
    assert inputs_TB[0].tolist() == [around(stream, each - 1, each)[0] for each in columns.starts]


def test_stream_read_touches_requested_pieces_only():
    """The corpus is far larger than memory."""

    class Counted(np.ndarray):
        touched = 0

        def __getitem__(self, place):
            found = super().__getitem__(place)
            Counted.touched += np.size(found)
            return found

    class Large:
        tokens = np.broadcast_to(np.uint16(3), 10**11)  # one element in memory
        sentences = np.arange(0, 10**6 + 1, dtype=np.int64).view(Counted) * 10**5
        vocab = range(6)

    stream = Stream(Large())
    assert len(stream) == 10**11 + 10**6
    middle = 500_000 * (10**5 + 1)
    assert stream.read(middle - 3, middle + 2).tolist() == [3, 3, 5, 3, 3]
    assert Counted.touched < 200  # a bisection, not a pass
