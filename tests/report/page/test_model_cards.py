"""What a page says of a model."""

from __future__ import annotations

import pytest

from sgbench.base.errors import UserError
from sgbench.report.page.content import model_card


def test_a_packaged_model_has_the_digest_of_its_file() -> None:
    card = model_card("fashion-routing", "not this")
    assert card.trained_sparse
    assert card.licence == "Apache-2.0"
    assert len(card.sha256) == 64
    assert int(card.parameters.replace(",", "")) > 1_000_000


def test_another_model_has_the_digest_of_the_rows() -> None:
    card = model_card("tread-sit XL/2 256 weights=random", "abc")
    assert card.sha256 == "abc"
    assert card.parameters == ""
    assert card.licence == "not stated"


def test_an_unknown_model_is_named() -> None:
    with pytest.raises(UserError, match="there is no model 'nothing'"):
        model_card("nothing", "")
