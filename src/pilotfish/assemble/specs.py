"""What a table of a collaboration file may say: one pydantic class a kind of model.

`use` tells the kind. A field that names another model of the file is of type `Ref`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import Field, model_validator

from pilotfish.assemble._spec import Count, PriceSpec, Ref, Share, Spec, Text
from pilotfish.assemble._spec_engine import SPREAD_MEANS, EngineSpec, SpreadSpec
from pilotfish.assemble._specs_adapt import AdaptSpec
from pilotfish.assemble._specs_aligned import ALIGNED
from pilotfish.assemble._specs_cascade import CascadeSpec
from pilotfish.assemble._specs_classify import ClassifySpec
from pilotfish.assemble._specs_compress import CompressedSpec, CompressSpec
from pilotfish.assemble._specs_curate import CurateSpec
from pilotfish.assemble._specs_distill import DistillSpec
from pilotfish.assemble._specs_enhance import ENHANCE, PromptsSpec
from pilotfish.assemble._specs_fit import FitSpec, FittedSpec
from pilotfish.assemble._specs_judge import JudgeSpec
from pilotfish.assemble._specs_knowledge import KNOWLEDGE
from pilotfish.assemble._specs_linked import LinkedSpec
from pilotfish.assemble._specs_lockstep import LOCKSTEP
from pilotfish.assemble._specs_phrases import PhrasesSpec
from pilotfish.assemble._specs_rag import RetrieveSpec
from pilotfish.assemble._specs_remote import BATCH_MEANS, OPENAI_MEANS, BatchSpec, EndpointSpec
from pilotfish.assemble._specs_repair import RepairedSpec, RepairSpec
from pilotfish.assemble._specs_resilient import RESILIENT, RESILIENT_MEANS
from pilotfish.assemble._specs_route import RouteSpec
from pilotfish.assemble._specs_serve import ServeSpec
from pilotfish.assemble._specs_speculative import SpeculativeSpec
from pilotfish.assemble._specs_supervise import SuperviseSpec
from pilotfish.assemble._specs_synthesize import SynthesizeSpec
from pilotfish.assemble._specs_verify import VerifiedSpec, VerifySpec
from pilotfish.decode.quantize import Quantize


class LocalSpec(Spec):
    """A causal language model on this machine."""

    use: Literal["local"]
    weights: Text
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    device: str = "auto"
    threads: Count | None = None
    batch_tokens: Count = 2048
    max_tokens: Count = 256
    max_rows: Count = 32
    quantize: Quantize = "none"
    backend: Literal["auto", "native", "torch", "transformers"] = "auto"


class EncoderSpec(Spec):
    """A text encoder on this machine; not a model that answers, but what `advise` takes as the small one."""

    use: Literal["encoder"]
    weights: Text
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "float32"
    device: str = "auto"
    threads: Count | None = None
    batch_tokens: Count = 4096


class OpenAISpec(EndpointSpec):
    """An OpenAI-compatible endpoint, asked one request at a time."""

    use: Literal["openai"]
    concurrency: Count = 8
    cache: bool | str = True


class RecordedSpec(Spec):
    """Recorded answers, replayed. The further fields name the columns that hold them."""

    use: Literal["recorded"]
    path: Text
    price: PriceSpec | None = None
    columns: dict[str, str] = {}


class ScopeSpec(Spec):
    """What a classifier says of a text that is out of its scope: `answer`, or its likeliest label where it is none.

    `above` stands in for the threshold that was learnt.
    """

    answer: Text | Literal[False] = "out of scope"
    above: float | None = None


class ClassifierSpec(Spec):
    """A saved small classifier, such as `pilotfish classify`, `advise` and `distill` write.

    One of trees is asked with a JSON object of its columns. `out_of_scope` is for one that was taught with
    `--out-of-scope`: what it says of other texts, a table with a threshold too, or false to leave its scope aside.
    `explain` notes so many words or columns in the trace: those that counted most.
    """

    use: Literal["classifier"]
    path: Text
    out_of_scope: Text | Literal[False] | ScopeSpec | None = None
    explain: Count | None = None


class LabellerSpec(Spec):
    """A model that answers with one of some labels; `examples` is a file of {text, label} rows.

    With `several` it answers with a JSON list of those that apply: each is asked for on its own, yes or no, and applies
    from its probability in `thresholds` on, one half where there is none.
    """

    use: Literal["labeller"]
    model: Ref
    labels: Annotated[list[str], Field(min_length=2)]
    several: bool = False
    thresholds: dict[str, Share] = {}
    names: dict[str, str] = {}
    examples: str | None = None
    instruction: str | None = None
    prior: list[float] | None = None
    max_text: Count | None = None

    @model_validator(mode="after")
    def _fits(self) -> LabellerSpec:
        for name in ("examples", "instruction", "prior", "max_text"):
            if self.several and getattr(self, name) is not None:
                raise ValueError(f"a labeller of several asks yes or no of each label and takes no `{name}`")
        if self.thresholds and not self.several:
            raise ValueError("`thresholds` are of a labeller of several")
        return self


class LabelPrefixedSpec(Spec):
    """A student that learnt labels and rationales as two tasks, asked for one: the last user turn gets its prefix."""

    use: Literal["label-prefixed"]
    model: Ref
    prefix: Text = "[label]"


# Settings that change how an answer comes, not what it is: a run resumes though they changed.
MEANS = {
    "local": ("device", "threads", "batch_tokens", "max_rows", "backend"),
    "encoder": ("device", "threads", "batch_tokens"),
    "openai": OPENAI_MEANS,
    "batch": BATCH_MEANS,
    "recorded": ("price",),
    "classifier": ("explain",),
    "speculative": ("draft", "length", "tree", "max_ngram", "max_rows"),
    **dict.fromkeys(LOCKSTEP, ("max_rows",)),
    **RESILIENT_MEANS,
    "linked": ("concurrency",),
    "spread": SPREAD_MEANS,
    "fitted": ("threads",),
}

SPECS: dict[str, type[Spec]] = {
    "local": LocalSpec,
    "encoder": EncoderSpec,
    "openai": OpenAISpec,
    "batch": BatchSpec,
    "recorded": RecordedSpec,
    "classifier": ClassifierSpec,
    "labeller": LabellerSpec,
    "label-prefixed": LabelPrefixedSpec,
    "cascade": CascadeSpec,
    "route": RouteSpec,
    "speculative": SpeculativeSpec,
    **LOCKSTEP,
    **RESILIENT,
    **ALIGNED,
    **KNOWLEDGE,
    **ENHANCE,
    "retrieve": RetrieveSpec,
    "verified": VerifiedSpec,
    "repaired": RepairedSpec,
    "compressed": CompressedSpec,
    "linked": LinkedSpec,
    "spread": SpreadSpec,
    "fitted": FittedSpec,
}


class MapSpec(EngineSpec):
    """The `[map]` table: what the flags of `pilotfish map` say, in a file. Paths are relative to the file."""

    rows: str | None = None
    prompt: str | None = None
    out: str | None = None
    model: Ref | None = None
    column: str = "answer"
    system: str | None = None
    max_tokens: Count | None = None
    temperature: Annotated[float, Field(ge=0)] | None = None
    seed: int | None = None
    concurrency: Count | None = None
    shard_rows: Count = 10_000
    format: str | None = None
    encoding: str | None = None
    strict: bool = False
    trace_columns: bool = False
    output: str | None = None


class FileSpec(Spec):
    """The whole file. Those of its tables that hold tables by names of the user's are checked one by one."""

    default: str | None = None
    models: dict[str, dict[str, object]] = {}
    metrics: dict[str, dict[str, object]] = {}
    indexes: dict[str, dict[str, object]] = {}
    retrievers: dict[str, dict[str, object]] = {}
    catalog: dict[str, dict[str, object]] = {}
    advise: dict[str, object] | None = None
    classify: ClassifySpec | None = None
    map: MapSpec | None = None
    serve: ServeSpec | None = None
    distill: DistillSpec | None = None
    synthesize: SynthesizeSpec | None = None
    curate: CurateSpec | None = None
    supervise: SuperviseSpec | None = None
    judge: JudgeSpec | None = None
    adapt: AdaptSpec | None = None
    verify: VerifySpec | None = None
    prompts: PromptsSpec | None = None
    phrases: PhrasesSpec | None = None
    repair: RepairSpec | None = None
    compress: CompressSpec | None = None
    fit: FitSpec | None = None


def references(spec: Spec) -> list[tuple[str, str]]:
    """Return (key, name) for every field that names another model, those of lists and of tables inside it too."""
    found: list[tuple[str, str]] = []
    for key, field in type(spec).model_fields.items():
        value = getattr(spec, key)
        if isinstance(value, str):
            marked = any(isinstance(mark, str) for mark in field.metadata)
            if marked or _may_refer(field.annotation, value):
                found.append((key, value))
        elif isinstance(value, list | tuple):
            for i, item in enumerate(value):
                if isinstance(item, Spec):
                    found += [(f"{key}.{i}.{inner}", name) for inner, name in references(item)]
                elif isinstance(item, str) and any(_may_refer(kind, item) for kind in get_args(field.annotation)):
                    found.append((f"{key}.{i}", item))
        elif isinstance(value, Spec):
            found += [(f"{key}.{inner}", name) for inner, name in references(value)]
    return found


def _may_refer(annotation: Any, text: str) -> bool:
    """Say whether a text of this type names a model: one kind it may be is `Ref`, and no literal word is meant."""
    kinds = [annotation, *get_args(annotation)]
    if any(get_origin(kind) is Literal and text in get_args(kind) for kind in kinds):
        return False
    return any(isinstance(mark, str) for kind in kinds for mark in getattr(kind, "__metadata__", ()))
