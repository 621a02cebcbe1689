"""Verification sees wrong hooks in detectors: it is shown some here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from row_mutations import MUTATIONS
from tiny import DIALECTS, in_dialect
from tiny_detectors import CASES

import openvino_xai as xai
from openvino_xai.errors import VerificationError
from openvino_xai.plan.rows import hook as row_plan
from openvino_xai.verify.rows import LogOdds

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_fault_on_the_way_back_is_refused(mutation: str, dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = in_dialect(CASES["two outputs"]("B").model, dialect)
    MUTATIONS[mutation](monkeypatch)
    with pytest.raises(VerificationError, match=r"slope|definition"):
        xai.insert(model, targets="asked:4")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_maps_of_other_rows_are_refused(dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The maps are those of class 0, whatever the class of the box."""
    real = row_plan._flat
    monkeypatch.setattr(row_plan, "_flat", lambda trace, index, label: real(trace, index, trace.multiply(label, 0)))
    model = in_dialect(CASES["two outputs"]("B").model, dialect)
    with pytest.raises(VerificationError):
        xai.insert(model, targets="boxes:4")


def test_what_is_no_number_under_masks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model's own heads say NaN for a masked layer: no difference from it is small."""
    calls: list[int] = []
    real = LogOdds.at

    def at(self: LogOdds, arrays: Sequence[np.ndarray]) -> np.ndarray:
        calls.append(len(arrays))
        return real(self, arrays) * (1 if len(calls) < 3 else np.nan)

    monkeypatch.setattr(LogOdds, "at", at)
    with pytest.raises(VerificationError, match="differ from their definition by nan"):
        xai.insert(CASES["two outputs"]("B").model, targets="asked:2", method="reciprocam")
