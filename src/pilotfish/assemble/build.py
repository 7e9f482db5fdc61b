"""From a checked table to a model: one line of dispatch a kind, heavy imports where they are used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish.assemble import specs
from pilotfish.assemble._build_remote import build_remote, price_of
from pilotfish.assemble._spec import Spec
from pilotfish.assemble._spec_engine import SpreadSpec
from pilotfish.assemble._specs_aligned import ALIGNED
from pilotfish.assemble._specs_cascade import CascadeSpec
from pilotfish.assemble._specs_compress import CompressedSpec
from pilotfish.assemble._specs_enhance import ENHANCE
from pilotfish.assemble._specs_fit import FittedSpec
from pilotfish.assemble._specs_knowledge import KNOWLEDGE
from pilotfish.assemble._specs_linked import LinkedSpec
from pilotfish.assemble._specs_lockstep import LockstepSpec
from pilotfish.assemble._specs_rag import RetrieveSpec
from pilotfish.assemble._specs_remote import EndpointSpec
from pilotfish.assemble._specs_repair import RepairedSpec
from pilotfish.assemble._specs_resilient import ResilientSpec
from pilotfish.assemble._specs_route import RouteSpec
from pilotfish.assemble._specs_speculative import SpeculativeSpec
from pilotfish.assemble._specs_verify import VerifiedSpec
from pilotfish.assemble._weights import weights_from
from pilotfish.errors import ConfigError

if TYPE_CHECKING:
    from pilotfish.assemble import Collaboration
    from pilotfish.models.catalog import Catalog
    from pilotfish.models.encoder import Encoder
    from pilotfish.retrieve.found import Retriever


def build(
    name: str,
    spec: Spec,
    part: Callable[[str], Any],
    catalog: Catalog,
    folder: Path,
    retriever: Callable[[str], Retriever],
) -> Any:
    """Return the model that a table describes.

    Args:
        name: the model's name in the file, shown in traces.
        spec: its table, checked.
        part: gives the model of another name.
        catalog: where weights are looked up.
        folder: what relative paths start from.
        retriever: gives the retriever of a name.
    """
    if isinstance(spec, specs.LocalSpec):
        from pilotfish.models.local import LocalModel

        settings = spec.model_dump(exclude={"use", "weights"})
        return LocalModel(weights_from(spec.weights, folder), name=name, catalog=catalog, **settings)
    if isinstance(spec, specs.EncoderSpec):
        from pilotfish.models.encoder import Encoder

        settings = spec.model_dump(exclude={"use", "weights"})
        return Encoder(weights_from(spec.weights, folder), name=name, catalog=catalog, **settings)
    if isinstance(spec, EndpointSpec):
        return build_remote(name, spec, folder)
    if isinstance(spec, specs.RecordedSpec):
        from pilotfish.models.recorded import RecordedModel

        columns: dict[str, Any] = dict(spec.columns)
        return RecordedModel(folder / spec.path, name=name, price=price_of(spec.price), **columns)
    if isinstance(spec, specs.ClassifierSpec):
        from pilotfish.assemble._build_classify import build_classifier

        return _explaining(build_classifier(name, spec, folder / spec.path, catalog), spec.explain)
    if isinstance(spec, specs.LabellerSpec):
        return _labeller(name, spec, part, folder)
    if isinstance(spec, specs.LabelPrefixedSpec):
        from pilotfish.distill.blackbox import LabelPrefixed

        return LabelPrefixed(part(spec.model), spec.prefix, name)
    if isinstance(spec, CascadeSpec):
        from pilotfish.assemble._build_cascade import build_cascade

        return build_cascade(name, spec, part, catalog, folder)
    if isinstance(spec, RouteSpec):
        from pilotfish.assemble._build_route import build_route

        return build_route(name, spec, part, catalog, folder)
    if isinstance(spec, LockstepSpec):
        from pilotfish.assemble._build_lockstep import build_lockstep

        return build_lockstep(name, spec, part)
    if isinstance(spec, SpeculativeSpec):
        from pilotfish.assemble._build_speculative import build_speculative

        return build_speculative(name, spec, part)
    if isinstance(spec, ResilientSpec):
        from pilotfish.assemble._build_resilient import build_resilient

        return build_resilient(name, spec, part)
    if type(spec) in ALIGNED.values():
        from pilotfish.assemble._build_aligned import build_aligned

        return build_aligned(name, spec, part, catalog, folder)
    if type(spec) in KNOWLEDGE.values():
        from pilotfish.assemble._build_knowledge import build_knowledge

        return build_knowledge(name, spec, part, catalog, folder)
    if type(spec) in ENHANCE.values():
        from pilotfish.assemble._build_enhance import build_enhance

        return build_enhance(name, spec, part, catalog, folder)
    if isinstance(spec, RetrieveSpec):
        from pilotfish.assemble._build_rag import build_rag

        return build_rag(name, spec, part, retriever, catalog, folder)
    if isinstance(spec, VerifiedSpec):
        from pilotfish.assemble._build_verified import build_verified

        return build_verified(name, spec, part, catalog, folder)
    if isinstance(spec, RepairedSpec):
        from pilotfish.assemble._build_repair import build_repaired

        return build_repaired(name, spec, part, catalog, folder)
    if isinstance(spec, CompressedSpec):
        from pilotfish.assemble._build_compress import build_compressed

        return build_compressed(name, spec, part, catalog, folder)
    if isinstance(spec, LinkedSpec):
        from pilotfish.assemble._build_linked import build_linked

        return build_linked(name, spec, part, catalog, folder)
    if isinstance(spec, FittedSpec):
        from pilotfish.assemble._build_fit import build_fitted

        return build_fitted(name, spec, folder)
    if isinstance(spec, SpreadSpec):
        from pilotfish.models.spread import Spread
        from pilotfish.rows.engine import Ray

        return Spread(part(spec.model), Ray(**spec.model_dump(exclude={"use", "model"})), name)
    from pilotfish.assemble.plugins import PluginSpec, plugin

    assert isinstance(spec, PluginSpec)
    return plugin(spec.use)(name=name, settings=dict(spec.settings), part=part)


def _explaining(model: Any, most: int | None) -> Any:
    if most is None:
        return model
    from pilotfish.compete.explain.served import Explaining

    return Explaining(model, most)


def encoder_named(name: str, models: Collaboration, dtype: str = "float32") -> Encoder:
    """Return an encoder of the file by its name, or one of weights, which then has the dtype.

    Raises:
        ConfigError: the model of that name is no encoder.
    """
    from pilotfish.models.encoder import Encoder

    if name in models.names:
        return models.encoder(name)
    return Encoder(weights_from(name, models.folder), dtype=dtype, catalog=models.catalog)


def _labeller(name: str, spec: specs.LabellerSpec, part: Callable[[str], Any], folder: Path) -> Any:
    import numpy as np

    from pilotfish.models.classify import Labeller, SeveralLabeller
    from pilotfish.rows.read import read

    if spec.several:
        return SeveralLabeller(part(spec.model), spec.labels, spec.names, spec.thresholds, name=name)

    examples = []
    if spec.examples:
        rows = read(folder / spec.examples, columns=["text", "label"], strict=True)
        examples = [(str(row["text"]), str(row["label"])) for row in rows]
    settings: dict[str, Any] = {"names": spec.names, "examples": examples, "max_text": spec.max_text, "name": name}
    if spec.instruction:
        settings["instruction"] = spec.instruction
    labeller = Labeller(part(spec.model), spec.labels, **settings)
    if spec.prior is not None:
        if len(spec.prior) != len(spec.labels):
            raise ConfigError(f"[models.{name}]: prior has {len(spec.prior)} numbers for {len(spec.labels)} labels")
        labeller.prior_ = np.array(spec.prior)
    return labeller
