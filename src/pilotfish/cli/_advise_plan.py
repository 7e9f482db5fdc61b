"""What `pilotfish advise` is to do: flags over the file's [advise] table, and every check that costs no time."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotfish._extras import need
from pilotfish._sync import wait
from pilotfish.assemble import Collaboration, model_of
from pilotfish.assemble._specs_advise import AdviseSpec
from pilotfish.assemble.check import checked
from pilotfish.assemble.specs import EncoderSpec, LocalSpec, OpenAISpec
from pilotfish.errors import ConfigError, did_you_mean
from pilotfish.model import Request

if TYPE_CHECKING:
    from pilotfish.compete.advise import Settings

__all__ = ["Plan", "bytes_of", "check_endpoints", "check_extras", "check_rows", "pair_of", "settings_of"]

# What the advisor imports on its way, some of it only for the report at the end.
NEEDED = ("torch", "transformers", "sentence_transformers", "sklearn", "model2vec", "matplotlib", "jinja2")

# What an endpoint is asked to see whether it answers at all.
READY = Request.of("Answer with the word: ready", temperature=0.0, max_tokens=16)


@dataclass(frozen=True)
class Plan:
    """The settings, the models, and where a setting stands for error messages."""

    spec: AdviseSpec
    models: Collaboration
    where: str

    @classmethod
    def of(cls, rows: str, flags: Mapping[str, Any]) -> Plan:
        """Read ROWS, a file of rows or a TOML file, and lay the flags over it.

        Raises:
            ConfigError: something is missing, unknown or not possible.
            ModelError: a model's weights are not known.
        """
        given = {key: value for key, value in flags.items() if value not in (None, ())}
        given["names"] = dict(pair_of(pair) for pair in given.get("names", ()))
        given["licences"] = list(given.get("licences", ()))
        given["format"] = given.pop("format_", None)
        given = {key: value for key, value in given.items() if value not in (None, {}, [])}
        if rows.endswith(".toml"):
            there = Collaboration.load(rows)
            if there.advise is None:
                raise ConfigError(f"{rows}: no [advise] table; it names rows, text, label, small and large")
            where, folder = rows, there.folder
            table = there.advise.model_dump(exclude_unset=True)
            for key in ("rows", "test", "unlabelled"):
                if table.get(key, "-") != "-":
                    table[key] = str(folder / table[key])
            models = {name: there.table(name) for name in there.names}
            catalog = there.catalog_tables
        else:
            where, folder, table, models, catalog = "the command line", Path(), {"rows": rows}, {}, {}
            missing = [f"--{key}" for key in ("text", "label", "small") if key not in given]
            if missing:
                raise ConfigError(f"{', '.join(missing)} must be given: which columns, and which small model")
        for role in ("small", "large"):
            # A name of the file comes first; anything else stands for weights, whose path is from here.
            if role in given and given[role] not in models:
                here = Path(given[role])
                models[role] = model_of(str(here.absolute()) if here.exists() else given[role])[1]
                given[role] = role
        spec = checked(AdviseSpec, table | given, f"{where} [advise]")
        if [spec.rows, spec.test, spec.unlabelled].count("-") > 1:
            raise ConfigError("only one of the files can be standard input")
        plan = cls(spec, Collaboration({"models": models, "catalog": catalog}, where=where, folder=folder), where)
        for role, name in plan.roles:
            if name not in plan.models.names:
                known = did_you_mean(name, plan.models.names)
                raise ConfigError(f"{where}: [advise] {role} = {name!r}: no such model{known}")
        for _, name in plan.roles:
            plan.models.check(name)
        if not isinstance(plan.models.spec(spec.small), EncoderSpec | LocalSpec):
            raise ConfigError(
                f"{where}: the small model {spec.small!r} must be an encoder or a local language "
                "model, whose vectors are here"
            )
        return plan

    @property
    def roles(self) -> list[tuple[str, str]]:
        """(role, name) for the small model, and for the large one where there is one."""
        return [("small", self.spec.small), *([("large", self.spec.large)] if self.spec.large else [])]

    def name(self, name: str) -> str:
        """Return what a report calls a model: the weights' or the endpoint's own name, where it has one."""
        table = self.models.table(name)
        if table["use"] in ("local", "encoder"):
            return Path(str(table["weights"])).name.removesuffix(".gguf").removeprefix("hf:")
        return str(table["model"]) if table["use"] == "openai" else name


def settings_of(spec: AdviseSpec) -> Settings:
    """Return the advisor's settings.

    Raises:
        ConfigError: one is out of range.
    """
    from pilotfish.compete.advise import Settings
    from pilotfish.compete.curve import COUNTS

    names = ("margin", "seeds", "shots", "test_rows", "calibrate_rows", "unlabelled_rows", "max_seconds", "max_cost")
    chosen = {name: getattr(spec, name) for name in names}
    memory = bytes_of(spec.max_memory) if spec.max_memory is not None else None
    counts = tuple(spec.counts) if spec.counts is not None else COUNTS
    return Settings(counts=counts, max_memory=memory, licences=tuple(spec.licences), seed=spec.seed, **chosen)


def check_rows(spec: AdviseSpec) -> None:
    """Look at the first row of each file.

    Raises:
        DataError: a file or a column is not there, or there is no row.
    """
    from pilotfish.rows import Rejects, need_columns, read

    for source, columns in (
        (spec.rows, [spec.text, spec.label]),
        (spec.test, [spec.text, spec.label]),
        (spec.unlabelled, [spec.text]),
    ):
        if source is not None and source != "-":
            # Bad rows before the first good one are told when all rows are read.
            first = next(iter(read(source, rejects=Rejects(), format=spec.format, encoding=spec.encoding)))
            need_columns(first, *columns, source=source)


def check_endpoints(plan: Plan) -> None:
    """Ask each endpoint that the large model needs for one short answer, past any cache.

    A wrong key or address should not show when all small models have been measured.

    Raises:
        ConfigError: dollars are to be counted and a price is not known.
        UpstreamError: the endpoint cannot be reached, refuses the key, or does not answer.
    """
    spec = plan.spec
    parts = [plan.models.spec(name) for name in plan.models.answers_by(spec.large)] if spec.large else []
    endpoints = [part for part in parts if isinstance(part, OpenAISpec)]
    for part in endpoints:
        if spec.max_cost is not None and part.price is None:
            raise ConfigError(
                f"{plan.where}: --max-cost cannot be kept: the price of {part.model!r} is not known; give it, e.g. "
                "price = { input = 2.0, output = 8.0 } (USD per million tokens)"
            )
    if not endpoints or spec.max_cost == 0:
        return
    from pilotfish.models.remote import RemoteModel

    async def go() -> None:
        for name in plan.models.answers_by(str(spec.large)):
            model = plan.models.part(name) if isinstance(plan.models.spec(name), OpenAISpec) else None
            if isinstance(model, RemoteModel):
                # A copy of its own: a cached answer would say nothing of the key.
                asked = dataclasses.replace(model, cache=None)
                try:
                    await asked.reply(READY)
                finally:
                    await asked.aclose()

    wait(go())


def check_extras() -> None:
    """Find what the advisor imports later, without importing it: no quarter of an hour for want of a plot library.

    Raises:
        MissingExtra: something is not installed.
    """
    for module in NEEDED:
        try:
            there = importlib.util.find_spec(module) is not None
        except ModuleNotFoundError:
            there = False
        if not there:
            need(module, "train")


def pair_of(text: str) -> tuple[str, str]:
    label, equals, name = text.partition("=")
    if not equals or not label or not name:
        raise click.UsageError(f"--name takes LABEL=NAME, not {text!r}")
    return label, name


def bytes_of(text: str) -> int:
    """Read a size such as 512MB, 2GiB or 1e9."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?(?:[eE]\d\d?)?)\s*([kmgt]?)(i?)b?\s*", text, re.IGNORECASE)
    if found is None:
        raise ConfigError(f"--max-memory takes a size such as 512MB or 2GiB, not {text!r}")
    base = 1024 if found[3] else 1000
    return int(float(found[1]) * base ** " kmgt".index(found[2].lower() or " "))
