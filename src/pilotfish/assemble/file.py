"""Read a collaboration file and build the models that it describes, each once, when first asked for.

[models.small]
use = "classifier"
path = "model"
[models.assistant]
use = "cascade"
small = "small"
large = "large"
accept = { score = "confidence", above = 0.8 }
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish.assemble._spec import Spec
from pilotfish.assemble._specs_advise import EveryAdviseSpec, advise_spec
from pilotfish.assemble._specs_aligned import RewardSpec
from pilotfish.assemble._specs_knowledge import EnergySpec
from pilotfish.assemble._specs_rag import RetrieveSpec
from pilotfish.assemble._weights import weights_from
from pilotfish.assemble.build import build
from pilotfish.assemble.check import checked
from pilotfish.assemble.specs import (
    MEANS,
    SPECS,
    EncoderSpec,
    FileSpec,
    MapSpec,
    references,
)
from pilotfish.errors import ConfigError, ModelError, did_you_mean

if TYPE_CHECKING:
    from pilotfish.assemble._retrieve import Retrieval
    from pilotfish.assemble._specs_adapt import AdaptSpec
    from pilotfish.assemble._specs_classify import ClassifySpec
    from pilotfish.assemble._specs_compress import CompressSpec
    from pilotfish.assemble._specs_curate import CurateSpec
    from pilotfish.assemble._specs_distill import DistillSpec
    from pilotfish.assemble._specs_enhance import PromptsSpec
    from pilotfish.assemble._specs_fit import FitSpec
    from pilotfish.assemble._specs_judge import JudgeSpec
    from pilotfish.assemble._specs_metrics import MetricSpec
    from pilotfish.assemble._specs_phrases import PhrasesSpec
    from pilotfish.assemble._specs_repair import RepairSpec
    from pilotfish.assemble._specs_serve import ServeSpec
    from pilotfish.assemble._specs_supervise import SuperviseSpec
    from pilotfish.assemble._specs_synthesize import SynthesizeSpec
    from pilotfish.assemble._specs_verify import VerifySpec
    from pilotfish.model import Model
    from pilotfish.models.catalog import Catalog
    from pilotfish.models.encoder import Encoder
    from pilotfish.retrieve.found import Retriever
    from pilotfish.retrieve.index import Index

DEFAULT = "assistant"
# Tables that name models.
JOBS = (
    "serve",
    "distill",
    "synthesize",
    "curate",
    "supervise",
    "judge",
    "adapt",
    "verify",
    "prompts",
    "phrases",
    "repair",
    "compress",
)


class Collaboration:
    """The models of a file.

    Args:
        data: the file's tables.
        where: the file's name, for errors.
        folder: what relative paths start from.
    """

    def __init__(self, data: Mapping[str, Any], *, where: str = "the file", folder: Path | None = None) -> None:
        self.where = where
        self.folder = folder or Path()
        self._file = checked(FileSpec, data, where)
        self._specs = {name: self._spec(name, table) for name, table in self._file.models.items()}
        self._built: dict[str, Any] = {}
        self._under_way: list[str] = []
        self._catalog: Catalog | None = None
        for name, spec in self._specs.items():
            for key, target in references(spec):
                if target not in self._specs:
                    known = [other for other in self._specs if other != name]
                    raise ConfigError(
                        f"{where}: [models.{name}] {key} = {target!r}: no such model{did_you_mean(target, known)}"
                    )
        jobs: dict[str, Spec | None] = {name: getattr(self._file, name) for name in JOBS}
        for table, held in jobs.items():
            for key, target in references(held) if held is not None else ():
                if target not in self._specs:
                    raise ConfigError(
                        f"{where}: [{table}] {key} = {target!r}: no such model{did_you_mean(target, self._specs)}"
                    )
        self._advise = None if self._file.advise is None else advise_spec(self._file.advise, f"{where}: [advise]")
        self._metrics = {name: self._metric(name, table) for name, table in self._file.metrics.items()}
        self._retrieval = self._retrieves()
        self._check_circles()

    @classmethod
    def load(cls, path: str | Path) -> Collaboration:
        """Read a TOML file.

        Raises:
            ConfigError: no such file, not TOML, an unknown key, a model that refers to none or to itself.
        """
        path = Path(path)
        try:
            data = tomllib.loads(path.read_bytes().decode("utf-8"))
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path}: not UTF-8 (byte {error.start}); TOML files are") from None
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{path}: not TOML: {error}") from None
        return cls(data, where=str(path), folder=path.parent)

    @property
    def names(self) -> list[str]:
        """The names of the models, in the file's order."""
        return list(self._specs)

    @property
    def default(self) -> str:
        """The model that is used where none is named.

        The file's `default`, else `assistant`, else the only model.

        Raises:
            ConfigError: none of these is there.
        """
        name = self._file.default
        if name is not None and name not in self._specs:
            raise ConfigError(f"{self.where}: default = {name!r}: no such model{did_you_mean(name, self._specs)}")
        if name is not None:
            return name
        if DEFAULT in self._specs:
            return DEFAULT
        if len(self._specs) == 1:
            return next(iter(self._specs))
        if not self._specs:
            raise ConfigError(f"{self.where}: no models in it; each is a table such as [models.small]")
        raise ConfigError(f"{self.where}: several models and none called {DEFAULT!r}: say which with --model")

    @property
    def advise(self) -> EveryAdviseSpec | None:
        """The `[advise]` table, if there is one."""
        return self._advise

    @property
    def classify(self) -> ClassifySpec | None:
        """The `[classify]` table, if there is one."""
        return self._file.classify

    @property
    def map(self) -> MapSpec | None:
        """The `[map]` table, if there is one."""
        return self._file.map

    @property
    def serve(self) -> ServeSpec | None:
        """The `[serve]` table, if there is one."""
        return self._file.serve

    @property
    def synthesize(self) -> SynthesizeSpec | None:
        """The `[synthesize]` table, if there is one."""
        return self._file.synthesize

    @property
    def curate(self) -> CurateSpec | None:
        """The `[curate]` table, if there is one."""
        return self._file.curate

    @property
    def supervise(self) -> SuperviseSpec | None:
        """The `[supervise]` table, if there is one."""
        return self._file.supervise

    @property
    def adapt(self) -> AdaptSpec | None:
        """The `[adapt]` table, if there is one."""
        return self._file.adapt

    @property
    def verify(self) -> VerifySpec | None:
        """The `[verify]` table, if there is one."""
        return self._file.verify

    @property
    def prompts(self) -> PromptsSpec | None:
        """The `[prompts]` tables, if there are any."""
        return self._file.prompts

    @property
    def phrases(self) -> PhrasesSpec | None:
        """The `[phrases]` table, if there is one."""
        return self._file.phrases

    @property
    def repair(self) -> RepairSpec | None:
        """The `[repair]` table, if there is one."""
        return self._file.repair

    @property
    def compress(self) -> CompressSpec | None:
        """The `[compress]` table, if there is one."""
        return self._file.compress

    @property
    def fit(self) -> FitSpec | None:
        """The `[fit]` table, if there is one."""
        return self._file.fit

    @property
    def judge(self) -> JudgeSpec | None:
        """The `[judge]` table, if there is one."""
        return self._file.judge

    @property
    def distill(self) -> DistillSpec | None:
        """The `[distill]` table, if there is one."""
        return self._file.distill

    @property
    def metrics(self) -> dict[str, MetricSpec]:
        """The `[metrics]` tables by their names, in the file's order."""
        return dict(self._metrics)

    @property
    def retrieval(self) -> Retrieval | None:
        """The `[indexes]` and `[retrievers]`, if there are any."""
        return self._retrieval

    @property
    def catalog(self) -> Catalog:
        """The catalog with the file's own entries over it."""
        if self._catalog is None:
            from pilotfish.models.catalog import Catalog

            entries = self._file.catalog
            known = Catalog.load()
            where = f"{self.where} [catalog]"
            self._catalog = known.with_entries(entries, where=where, base=self.folder) if entries else known
        return self._catalog

    def table(self, name: str) -> dict[str, Any]:
        """Return a model's table as the file has it.

        Raises:
            ConfigError: no such model.
        """
        self._known(name)
        return dict(self._file.models[name])

    def spec(self, name: str) -> Spec:
        """Return a model's table, checked.

        Raises:
            ConfigError: no such model.
        """
        self._known(name)
        return self._specs[name]

    def answers_by(self, name: str) -> dict[str, dict[str, Any]]:
        """Return the tables of a model and of all it refers to, without what does not decide an answer.

        Two runs with equal ones ask the same model, as far as a file can tell.

        Raises:
            ConfigError: no such model.
        """
        self._known(name)
        found: dict[str, dict[str, Any]] = {}
        left = [name]
        while left:
            one = left.pop()
            if one in found:
                continue
            table = self._file.models[one]
            means = MEANS.get(str(table["use"]), ())
            found[one] = {key: value for key, value in sorted(table.items()) if key not in means}
            spec = self._specs[one]
            if isinstance(spec, RetrieveSpec) and self._retrieval is not None:
                found[one]["finds"] = self._retrieval.finds_by(spec.retriever)
            left += self._parts(one)
        return found

    def check(self, name: str) -> None:
        """Look up the weights that a model and its parts name, without loading or fetching anything.

        Raises:
            ConfigError: no such model, or a hub name that cannot be one.
            ModelError: weights that are neither known nor here.
        """
        for one in self.answers_by(name):
            weights = getattr(self._specs[one], "weights", None)
            if not isinstance(weights, str):
                continue
            weights = weights_from(weights, self.folder)
            try:
                if weights.startswith("hf:"):
                    self.catalog.adopted(weights)
                elif weights not in self.catalog.entries:
                    self.catalog.resolve(weights, pull=False)
            except ModelError as error:
                raise ModelError(f"{self._at(one)}{error}") from None

    def model(self, name: str | None = None) -> Model:
        """Return a model, built with all it refers to; the same object each time.

        Raises:
            ConfigError: no such model, or it is an encoder, a reward model or an energy, which do not answer.
            ModelError: its files are missing or damaged.
        """
        name = name or self.default
        self._known(name)
        if isinstance(self._specs[name], EncoderSpec):
            raise ConfigError(f"{self.where}: [models.{name}] is an encoder: it gives vectors, not answers")
        for kind, what in ((RewardSpec, "a reward model"), (EnergySpec, "an energy")):
            if isinstance(self._specs[name], kind):
                raise ConfigError(f"{self.where}: [models.{name}] is {what}: it scores answers and gives none")
        model: Model = self._part(name)
        return model

    def encoder(self, name: str) -> Encoder:
        """Return an encoder.

        Raises:
            ConfigError: no such model, or it is not an encoder.
        """
        self._known(name)
        if not isinstance(self._specs[name], EncoderSpec):
            raise ConfigError(f'{self.where}: [models.{name}] is not an encoder (use = "encoder")')
        encoder: Encoder = self._part(name)
        return encoder

    def retriever(self, name: str | None = None) -> Retriever:
        """Return a retriever, built with all it refers to; the same object each time. Without a name the only one.

        Raises:
            ConfigError: no such retriever, or none named where there are several.
            ModelError: its index is not there.
        """
        if self._retrieval is None:
            raise ConfigError(f"{self.where}: no [retrievers] in it; each is a table such as [retrievers.words]")
        return self._retrieval.retriever(name, self)

    def index(self, name: str, *, new: bool = False) -> Index:
        """Return an index, opened; or, with `new`, made where it is not there.

        Raises:
            ConfigError: no such index, or one that was made otherwise.
            ModelError: it is not there.
        """
        if self._retrieval is None:
            raise ConfigError(f"{self.where}: no [indexes] in it; each is a table such as [indexes.docs]")
        return self._retrieval.index(name, self, new=new)

    def part(self, name: str) -> Any:
        """Return a model or an encoder, whichever the name stands for.

        Raises:
            ConfigError: no such model.
        """
        self._known(name)
        return self._part(name)

    @property
    def catalog_tables(self) -> dict[str, dict[str, object]]:
        """The file's own catalog entries, as it has them."""
        return dict(self._file.catalog)

    @property
    def built(self) -> tuple[str, ...]:
        """The names of the models that were built so far."""
        return tuple(self._built)

    def take(self, built: Mapping[str, Any]) -> None:
        """Take models over from a file in which the same tables stand, so that none is loaded twice."""
        self._built |= {name: part for name, part in built.items() if name in self._specs}

    async def aclose(self) -> None:
        """Close the connections of the models that have any."""
        for model in self._built.values():
            close = getattr(model, "aclose", None)
            if close is not None:
                await close()

    def _at(self, name: str) -> str:
        """Return where a model is described; nothing where it was named on the command line."""
        return f"{self.where}: [models.{name}]: " if self.where.endswith(".toml") else ""

    def _part(self, name: str) -> Any:
        if name not in self._built:
            self._built[name] = build(name, self._specs[name], self._part, self.catalog, self.folder, self.retriever)
        return self._built[name]

    def _known(self, name: str) -> None:
        if name not in self._specs:
            raise ConfigError(f"{self.where}: no model {name!r}{did_you_mean(name, self._specs)}")

    def _spec(self, name: str, table: Mapping[str, Any]) -> Spec:
        where = f"{self.where}: [models.{name}]"
        use = table.get("use")
        if not isinstance(use, str):
            raise ConfigError(f"{where}: the key 'use' is missing; known: {', '.join(SPECS)}")
        if use in SPECS:
            return checked(SPECS[use], table, where)
        from pilotfish.assemble.plugins import PluginSpec, plugins

        if use in plugins():
            settings = {key: value for key, value in table.items() if key != "use"}
            return PluginSpec(use=use, settings=settings)
        raise ConfigError(f"{where}: unknown use {use!r}{did_you_mean(use, [*SPECS, *plugins()])}")

    def _retrieves(self) -> Retrieval | None:
        if not self._file.indexes and not self._file.retrievers:
            return None
        from pilotfish.assemble._retrieve import Retrieval

        return Retrieval(self._file.indexes, self._file.retrievers, list(self._specs), self.where)

    def _metric(self, name: str, table: Mapping[str, Any]) -> MetricSpec:
        from pilotfish.assemble._specs_metrics import METRICS

        where = f"{self.where}: [metrics.{name}]"
        use = table.get("use")
        if not isinstance(use, str):
            raise ConfigError(f"{where}: the key 'use' is missing; known: {', '.join(METRICS)}")
        if use not in METRICS:
            raise ConfigError(f"{where}: unknown use {use!r}{did_you_mean(use, METRICS)}")
        spec = checked(METRICS[use], table, where)
        for key, target in references(spec):
            if target not in self._specs:
                raise ConfigError(f"{where} {key} = {target!r}: no such model{did_you_mean(target, self._specs)}")
        return spec

    def _parts(self, name: str) -> list[str]:
        """Return the models that a model names, by way of its retriever too."""
        spec = self._specs[name]
        found = [target for _, target in references(spec)]
        if isinstance(spec, RetrieveSpec):
            if self._retrieval is None:
                raise ConfigError(f"{self.where}: [models.{name}] retriever: there are no [retrievers] in the file")
            try:
                found += self._retrieval.models_of(self._retrieval.chosen(spec.retriever))
            except ConfigError as error:
                raise ConfigError(f"{error}, which [models.{name}] names") from None
        return found

    def _check_circles(self) -> None:
        """Refuse models that contain themselves."""
        done: set[str] = set()

        def visit(name: str, above: tuple[str, ...]) -> None:
            if name in above:
                raise ConfigError(
                    f"{self.where}: models refer to each other in a circle: {' -> '.join((*above, name))}"
                )
            if name in done:
                return
            for target in self._parts(name):
                visit(target, (*above, name))
            done.add(name)

        for name in self._specs:
            visit(name, ())
