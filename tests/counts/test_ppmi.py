"""PPMI equals the plain reference, and sparse vectors save, load and answer queries."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from reference.ppmi import ppmi as ppmi_reference
from scipy.sparse import csr_array
from support.sparse import as_dict

from nlpseq.config import CooccurrenceConfig, PPMIConfig
from nlpseq.counts.cooccurrence import Cooccurrence
from nlpseq.counts.ppmi import ppmi, ppmi_matrix
from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ArtifactError, ConfigError, DataError
from nlpseq.vectors.postprocess import postprocess
from nlpseq.vectors.vectors import Vectors

CONFIGS = st.builds(
    PPMIConfig,
    smoothing=st.sampled_from([0.0, 0.5, 0.75, 1.0]),
    shift=st.sampled_from([0.5, 1.0, 5.0]),
    min_pairs=st.sampled_from([0.0, 1.0, 2.0]),
)
TABLES = st.dictionaries(
    st.tuples(st.integers(0, 6), st.integers(0, 6)), st.sampled_from([0.5, 1.0, 2.0, 30.0])
)


def as_matrix(table: dict[tuple[int, int], float], num_words: int = 7) -> Any:
    dense = np.zeros((num_words, num_words))
    for pair, count in table.items():
        dense[pair] = count
    return csr_array(dense)


def counted(table: dict[tuple[int, int], float], num_words: int = 7) -> Cooccurrence:
    vocab = Vocab([f"w{v}" for v in range(num_words)], np.arange(num_words, 0, -1))
    return Cooccurrence(as_matrix(table, num_words), vocab, CooccurrenceConfig(), {"num_tokens": 99})


@given(TABLES, CONFIGS, st.sampled_from([1, 3, 1 << 22]))
def test_ppmi_equals_reference_in_any_blocks(table: Any, config: PPMIConfig, block: int) -> None:
    found = as_dict(ppmi_matrix(as_matrix(table), config, block))
    wanted = ppmi_reference(table, config)
    clear = {pair for pair, value in wanted.items() if value > 1e-5}  # float32 may round the rest to 0
    assert clear <= set(found) <= set(wanted) | {pair for pair in found if found[pair] < 1e-5}
    for pair in clear:
        assert math.isclose(found[pair], wanted[pair], rel_tol=1e-5, abs_tol=1e-6)


def test_ppmi_of_three_words_equals_hand_calculation() -> None:
    table = {(0, 1): 3.0, (1, 0): 3.0, (0, 2): 1.0, (2, 0): 1.0}  # 8 in all; 0 has 4, 1 has 3, 2 has 1
    plain = ppmi_reference(table, PPMIConfig(smoothing=1.0))
    assert plain[2, 0] == pytest.approx(math.log(1 * 8 / (1 * 4))) == plain[0, 2]
    total = 4**0.75 + 3**0.75 + 1
    smooth = ppmi_reference(table, PPMIConfig())
    assert smooth[0, 2] == pytest.approx(math.log(1 * total / 4)) and smooth[0, 2] < plain[0, 2]
    shifted = ppmi_reference(table, PPMIConfig(smoothing=1.0, shift=1.5))
    assert shifted[2, 0] == pytest.approx(plain[2, 0] - math.log(1.5))
    assert ppmi_reference(table, PPMIConfig(min_pairs=2)).keys() == {(0, 1), (1, 0)}


def test_sparse_vectors_answer_queries_and_load_again(tmp_path) -> None:
    table = {(0, 2): 9.0, (1, 2): 9.0, (2, 0): 9.0, (2, 1): 9.0, (3, 4): 5.0, (4, 3): 5.0, (0, 4): 1.0}
    vectors = ppmi(counted(table))
    assert vectors.is_sparse and vectors.meta["ppmi_config"]["smoothing"] == 0.75
    assert vectors.neighbors("w0", 1)[0][0] == "w1"
    assert vectors.similarity("w0", "w1") == pytest.approx(vectors.neighbors("w0", 1)[0][1], rel=1e-5)
    vectors.save(tmp_path / "a.ppmi")
    again = Vectors.load(tmp_path / "a.ppmi")
    assert as_dict(again.matrix) == as_dict(vectors.matrix)
    assert again.neighbors("w0") == vectors.neighbors("w0")
    assert again.analogy("w0", "w1", "w3") == vectors.analogy("w0", "w1", "w3")
    assert not (tmp_path / "a.ppmi" / "vectors.npy").exists()
    with pytest.raises(DataError, match="would become dense"):
        postprocess(again, center=True)


def test_load_refuses_sparse_vectors_of_other_shape(tmp_path) -> None:
    import json

    ppmi(counted({(0, 1): 3.0, (1, 2): 1.0})).save(tmp_path / "a.ppmi")
    meta = tmp_path / "a.ppmi" / "meta.json"
    good = json.loads(meta.read_text())
    manifest = tmp_path / "a.ppmi" / "MANIFEST.json"
    for wrong, message in (({"dim": 8}, "PPMI vectors are square"), ({"num_stored": 3}, "says 3")):
        meta.write_text(json.dumps(good | wrong))
        entries = json.loads(manifest.read_text())
        entries["files"]["meta.json"]["bytes"] = meta.stat().st_size
        manifest.write_text(json.dumps(entries))
        with pytest.raises(ArtifactError, match=message):
            Vectors.load(tmp_path / "a.ppmi", verify=False)


def test_ppmi_refuses_counts_without_association() -> None:
    with pytest.raises(DataError, match="none of the 1 pairs of words has a PPMI above 0"):
        ppmi(counted({(0, 0): 1.0}))


@pytest.mark.parametrize("wrong", [{"smoothing": -1}, {"smoothing": 2}, {"shift": 0}, {"min_pairs": -1}])
def test_config_refuses_invalid_value(wrong) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        PPMIConfig(**wrong)
