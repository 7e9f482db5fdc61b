"""Language models as encoders: which state is a text's vector, whatever the tokens' numbers and the padding."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pilotfish.models.local import LocalModel
from pilotfish.train.lm_encoder import encoder_of_lm

if TYPE_CHECKING:
    from tests.conftest import TinyFolder
    from tests.tiny import Family

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_the_last_token_is_found_by_length_not_by_its_number(
    family: Family, tiny_folder: TinyFolder, tmp_path: Path
) -> None:
    # OpenAI's code counts the tokens that are not 0, so that a text with token 0 in it is pooled at an earlier one.
    folder = tiny_folder(family, "plain")
    local = LocalModel(folder, dtype="float32", device="cpu").load()
    nought = local.tokenizer.decode([0])
    texts = [
        "the cat",
        f"the cat {nought}{nought}",
        f"{nought} a much longer text than the others, with more words in it",
    ]
    ids = [local.tokenizer(text)["input_ids"] for text in texts]
    assert any(0 in one for one in ids)
    encoder = encoder_of_lm(folder, tmp_path / "last", pooling="last", max_length=64)
    with torch.no_grad():
        states = [
            local.model.base_model(input_ids=torch.tensor([one]), use_cache=False).last_hidden_state[0, -1]
            for one in ids
        ]
    np.testing.assert_allclose(encoder.encode(texts), torch.stack(states).numpy(), atol=1e-4)
