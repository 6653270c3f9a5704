"""Inputs that once broke a reader are refused or read."""

import pytest
from findings import FINDINGS, put
from intact_files import KINDS, check, make_sound
from prober import Prober
from tallies import Tally


@pytest.mark.slow
def test_inputs_found_by_fuzzing_are_refused_or_read(
    tmp_path_factory: pytest.TempPathFactory, tally: Tally
) -> None:
    whole, prober = make_sound(tmp_path_factory.mktemp("whole")), Prober()
    for file in sorted(FINDINGS.glob("*/*")):
        name = file.parent.name
        with tally.case(f"{name}, {file.name}"), put(file.read_bytes(), whole / name):
            check(prober.read(KINDS[name], whole / name), name)
    prober.close()
