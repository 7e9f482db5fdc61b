"""Every decoder kind on every family: what is fed, rolled back, forked and kept gives what the whole sequence gives."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
import torch
import transformers

from pilotfish.decode.decoder import Decoder
from pilotfish.errors import ConfigError, ModelError
from tests.decode.conformance import FAMILIES, KINDS, same
from tests.decode.reference import ReferenceDecoder

if TYPE_CHECKING:
    from tests.conftest import TinyFolder
    from tests.tiny import Family

# Longer than the windows of the tiny Mistral and Gemma 3 (12), so that windows matter.
PROMPTS = [[5, 17, 300, 42, 9, 8, 7, 211, 12, 13, 14, 15, 16, 77, 78], [3, 250, 4], [19] * 9]
MORE = [[31, 32, 33, 34], [99, 98], [7]]


@pytest.fixture(scope="module", params=FAMILIES)
def module(request: pytest.FixtureRequest, tiny_folder: TinyFolder) -> Any:
    family: Family = request.param
    return transformers.AutoModelForCausalLM.from_pretrained(tiny_folder(family), dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def reference(module: Any) -> ReferenceDecoder:
    return ReferenceDecoder(module)


@pytest.fixture(params=sorted(KINDS))
def make(request: pytest.FixtureRequest, module: Any) -> Any:
    kind = KINDS[request.param]
    return lambda **options: kind(module, **options)


@pytest.fixture
def decoder(make: Any) -> Decoder:
    made: Decoder = make()
    return made


def test_start_gives_the_logits_after_each_prompt(decoder: Decoder, reference: ReferenceDecoder) -> None:
    rows, logits = decoder.start([[prompt] for prompt in PROMPTS])
    same(logits, reference.start([[prompt] for prompt in PROMPTS])[1])
    assert [row.prompt[0] for row in rows] == PROMPTS
    assert decoder.members == 1
    assert decoder.vocabulary == logits.shape[1]
    assert decoder.early == []


def test_feeding_a_batch_of_unequal_lengths_is_feeding_each_alone(
    decoder: Decoder, reference: ReferenceDecoder
) -> None:
    rows, _ = decoder.start([[prompt] for prompt in PROMPTS])
    theirs, _ = reference.start([[prompt] for prompt in PROMPTS])
    for more in (MORE, [[1], [2], [3]], MORE[::-1]):
        for mine, other in zip(decoder.feed(rows, more), reference.feed(theirs, more), strict=True):
            same(mine, other)
    assert [row.tokens for row in rows] == [row.tokens for row in theirs]
    # A part of the rows, in another order.
    some = decoder.feed([rows[2], rows[0]], [[44, 45], [46]])
    for mine, other in zip(some, reference.feed([theirs[2], theirs[0]], [[44, 45], [46]]), strict=True):
        same(mine, other)


def test_one_by_one_past_the_first_buffers(decoder: Decoder, reference: ReferenceDecoder) -> None:
    draw = random.Random(5)
    rows, _ = decoder.start([[PROMPTS[0]], [PROMPTS[1]]])
    theirs, _ = reference.start([[PROMPTS[0]], [PROMPTS[1]]])
    fed = [[draw.randrange(400) for _ in range(150)] for _ in rows]
    ours = [decoder.feed(rows, [[fed[0][i]], [fed[1][i]]]) for i in range(150)]
    whole = reference.feed(theirs, fed)
    for row in range(2):
        same(torch.cat([step[row] for step in ours]), whole[row])


def test_rolled_back_tokens_were_never_fed(decoder: Decoder, reference: ReferenceDecoder) -> None:
    rows, _ = decoder.start([[PROMPTS[0]], [PROMPTS[1]]])
    theirs, _ = reference.start([[PROMPTS[0]], [PROMPTS[1]]])
    decoder.feed(rows, [list(range(20, 60)), [1, 2, 3]])
    decoder.rollback(rows[0], 2)
    decoder.rollback(rows[1], 0)
    reference.feed([theirs[0]], [[20, 21]])
    assert [row.tokens for row in rows] == [[20, 21], []]
    for mine, other in zip(decoder.feed(rows, MORE[:2]), reference.feed(theirs, MORE[:2]), strict=True):
        same(mine, other)
    with pytest.raises(ModelError, match="rolled back"):
        decoder.rollback(rows[0], -1)


def test_a_fork_lives_on_its_own(decoder: Decoder, reference: ReferenceDecoder) -> None:
    [row], _ = decoder.start([[PROMPTS[0]]])
    decoder.feed([row], [[1, 2]])
    copy = decoder.fork(row)
    decoder.feed([row], [[3, 4, 5]])
    decoder.rollback(row, 1)
    decoder.feed([row], [[300]])
    decoder.close(row)
    [theirs], _ = reference.start([[PROMPTS[0]]])
    reference.feed([theirs], [[1, 2]])
    same(decoder.feed([copy], [[6, 7]])[0], reference.feed([theirs], [[6, 7]])[0])
    assert copy.tokens == [1, 2, 6, 7]


def test_equal_prompts_give_rows_of_their_own(decoder: Decoder, reference: ReferenceDecoder) -> None:
    prompts = [[PROMPTS[1]], [PROMPTS[0]], [PROMPTS[1]], [PROMPTS[1]]]
    rows, logits = decoder.start(prompts)
    theirs, expected = reference.start(prompts)
    same(logits, expected)
    more = [[1], [2], [3, 4], [5]]
    for mine, other in zip(decoder.feed(rows, more), reference.feed(theirs, more), strict=True):
        same(mine, other)


#           0
#         /   \
#   -1 - 1     2 - 4 - 5      3 is a second root
PARENTS = [[-1, 0, 0, -1, 2, 4], [-1, 0, 1], [-1]]
TREE = [[11, 12, 13, 14, 15, 16], [21, 22, 23], [31]]


def test_a_tree_is_its_paths_and_keep_takes_one(decoder: Decoder, reference: ReferenceDecoder) -> None:
    assert decoder.trees
    prompts = [[prompt] for prompt in PROMPTS]
    rows, _ = decoder.start(prompts)
    theirs, _ = reference.start(prompts)
    for mine, other in zip(decoder.feed(rows, TREE, PARENTS), reference.feed(theirs, TREE, PARENTS), strict=True):
        same(mine, other)
    assert rows[0].tokens == []
    with pytest.raises(ModelError, match="keep"):
        decoder.feed([rows[0]], [[1]])
    for row, other, path in zip(rows, theirs, ([0, 2, 4], [0, 1, 2], []), strict=True):
        decoder.keep(row, path)
        reference.keep(other, path)
    assert [row.tokens for row in rows] == [[11, 13, 15], [21, 22, 23], []]
    for mine, other in zip(decoder.feed(rows, MORE), reference.feed(theirs, MORE), strict=True):
        same(mine, other)
    # And a tree on top of what was kept, a single row.
    same(decoder.feed([rows[0]], TREE[:1], PARENTS[:1])[0], reference.feed([theirs[0]], TREE[:1], PARENTS[:1])[0])
    with pytest.raises(ModelError, match="keep follows"):
        decoder.keep(rows[1], [0])


def test_a_tree_that_is_no_tree_is_refused(decoder: Decoder) -> None:
    [row], _ = decoder.start([[PROMPTS[0]]])
    for bad in ([[-1, 1]], [[-1]], [[-2, 0]]):
        with pytest.raises(ModelError, match="parent"):
            decoder.feed([row], [[1, 2]], bad)


def test_early_exits_are_hidden_states_through_norm_and_head(make: Any, module: Any) -> None:
    decoder = make(exits=(0, 1, 2))
    rows, logits = decoder.start([[PROMPTS[0]], [PROMPTS[1]]])
    assert [tuple(early.shape) for early in decoder.early] == [(1, 3, decoder.vocabulary)] * 2
    same(decoder.early[1][0, 2], logits[1].cpu())
    decoder.feed(rows, [[1, 2, 3], [4]])
    with torch.inference_mode():
        hidden = module(torch.tensor([PROMPTS[0] + [1, 2, 3]]), output_hidden_states=True).hidden_states
        norm = module.base_model.norm if hasattr(module.base_model, "norm") else module.base_model.ln_f
        states = [norm(hidden[0]), norm(hidden[1]), hidden[2]]
        expected = torch.stack([module.get_output_embeddings()(state[0, -3:]) for state in states], dim=1)
    same(decoder.early[0], expected)
    assert decoder.early[1].shape == (1, 3, decoder.vocabulary)


def test_exits_beyond_the_model_are_refused(make: Any) -> None:
    with pytest.raises(ConfigError, match="exits"):
        make(exits=(3,))


def test_the_first_layers_alone_are_the_early_exit(make: Any) -> None:
    whole, cut = make(exits=(1,)), make(layers=1)
    rows, _ = whole.start([[PROMPTS[0]]])
    mine, logits = cut.start([[PROMPTS[0]]])
    same(logits, whole.early[0][:, 0].cpu())
    whole.feed(rows, [[1, 2]])
    same(cut.feed(mine, [[1, 2]])[0], whole.early[0][:, 0].cpu())


def test_room_is_told_and_kept(decoder: Decoder) -> None:
    [row], _ = decoder.start([[[7] * 500]])
    assert decoder.room(row) == 12
    decoder.feed([row], [[1, 2]])
    assert decoder.room(row) == 10
    with pytest.raises(ModelError, match="512"):
        decoder.feed([row], [[1] * 11])
    assert len(decoder.feed([row], [[1] * 10])[0]) == 10
    assert decoder.room(row) == 0
    with pytest.raises(ModelError, match="513"):
        decoder.start([[[7] * 513]])
    with pytest.raises(ModelError, match="at least one token"):
        decoder.start([[[]]])


def test_what_cannot_be_fed_is_refused(decoder: Decoder) -> None:
    [row], _ = decoder.start([[PROMPTS[0]]])
    with pytest.raises(ModelError, match="at least one token"):
        decoder.feed([row], [[]])
    with pytest.raises(ModelError, match="once"):
        decoder.feed([row, row], [[1], [2]])
    with pytest.raises(ModelError, match="one list"):
        decoder.start([[[1], [2]]])
    decoder.close(row)
    decoder.close(row)
    with pytest.raises(ModelError, match="closed"):
        decoder.feed([row], [[1]])
    assert decoder.feed([], []) == []
