"""What tells candidates apart, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pilotfish.compete.entities import Entity, EntityBase, Mention
from pilotfish.compete.entities.candidates import Candidates, Generated
from pilotfish.compete.entities.features import FEATURES, features
from pilotfish.errors import ConfigError
from tests.compete.entities.made import ENTITIES, placed


def told(generated: Generated, **more: list[float]) -> list[dict[str, float]]:
    return [dict(zip(FEATURES, row.tolist(), strict=True)) for row in features(generated, **more)]


def test_names_types_context_and_prior() -> None:
    mention = Mention("WHO said that health matters", 0, 3, "Organisation")
    who = Entity("1", "World Health Organization", types=("organisation",), description="Agency for health", prior=9)
    band = Entity("2", "The Who", ("WHO",), ("band",), prior=99)
    ways = {"names": np.array([0.2, 0.9]), "bm25": np.array([4.0, 0.0]), "dense": np.array([-0.5, 0.5])}
    one, other = told(Generated(mention, (who, band), ways), read=[0.0, 100.0])
    assert (one["initials"], other["initials"]) == (1.0, 0.0)
    assert (one["same name"], other["same name"], other["same alias"], other["alone"]) == (0.0, 0.0, 1.0, 1.0)
    assert (one["same type"], one["other type"], other["same type"], other["other type"]) == (1.0, 0.0, 0.0, 1.0)
    assert (one["bm25"], other["bm25"], one["names"], one["dense"], other["dense"]) == (1.0, 0.0, 0.2, 0.0, 0.5)
    assert other["prior"] == 1.0 and one["prior"] == pytest.approx(np.log(10) / np.log(100))
    # said: said, that, health, matters; known: world, health, organization, organisation, agency
    assert one["context"] == pytest.approx(1 / np.sqrt(4 * 5)) and other["context"] == 0.0
    assert (one["reader"], other["reader"]) == (0.5, 1.0)
    assert features(Generated(mention, (), {})).shape == (0, len(FEATURES))


def test_candidates_of_all_ways(base: EntityBase) -> None:
    (found,) = Candidates(base, k=4).of([placed("{} wore winged sandals", "Mercury")])
    place = [one.id for one in found.entities].index("god")
    assert len(found.entities) <= 4 and found.told["names"][place] == pytest.approx(1.0)
    assert found.told["bm25"][place] == found.told["bm25"].max() > 0
    for way in ("names", "bm25"):  # the best of each is there, however few are taken
        query = "Mercury" if way == "names" else found.mention.query
        (first,) = base.search([query], 1, [way])[0]
        (two,) = Candidates(base, k=2).of([found.mention])
        assert first.passage.id in {one.id for one in two.entities}
    (none,) = Candidates(base).of([Mention.alone("Zyxq")])
    assert none.entities == () and Candidates(base).of([]) == []
    (only,) = Candidates(base, ["bm25"]).of([placed("{} found radium", "Xy")])
    assert [one.id for one in only.entities] == ["curie"] and set(only.told) == {"bm25"}
    with pytest.raises(ConfigError, match=r"no way 'bm24'.*bm25"):
        Candidates(base, ["bm24"])
    with pytest.raises(ConfigError, match="k and depth"):
        Candidates(base, k=0)


def test_meaning_tells_all_candidates(tmp_path, tiny_encoder_folder) -> None:  # type: ignore[no-untyped-def]
    from pilotfish.retrieve import Encoders

    with EntityBase.create(tmp_path / "b", ("dense",), encoders=Encoders(dense=str(tiny_encoder_folder))) as base:
        base.add(ENTITIES)
        mention = placed("{} wore winged sandals", "Mercury")
        (found,) = Candidates(base, k=8, depth=2).of([mention])
        encoder = base.index.way("dense").encoder  # type: ignore[attr-defined]
        vectors = encoder.encode([one.text for one in found.entities])
        wanted = vectors @ encoder.encode([mention.query])[0]
        # Those that only names found are told by meaning as well.
        assert len(found.entities) > 2 and found.told["dense"] == pytest.approx(wanted, abs=1e-4)
        assert [call.role for call in found.trace.calls] == ["retriever"]
