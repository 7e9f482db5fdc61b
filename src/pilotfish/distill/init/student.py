"""A student as a folder of its own, made from a teacher: what `LocalModel` and training load."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish.distill.init._anatomy import Anatomy
from pilotfish.distill.init.fresh import from_config
from pilotfish.distill.init.importance import by_activations, by_weights
from pilotfish.distill.init.layers import drop_layers, kept_layers
from pilotfish.distill.init.width import Width, check, prune_width
from pilotfish.errors import ConfigError, DataError
from pilotfish.models._fetch_store import MARKER, install, locked, read_marker
from pilotfish.models._weights import identity_of, stored_dtype
from pilotfish.models.local import LocalModel

if TYPE_CHECKING:
    from pilotfish.models.catalog import Catalog

__all__ = ["Student", "student_of"]


@dataclass(frozen=True)
class Student:
    """What was made.

    Attributes:
        folder: where it is.
        teacher: the name of the teacher's weights.
        parameters: how many weights it has, shared ones once.
        teacher_parameters: how many its teacher has.
        layers: the teacher's layers that it kept, from 0; None where its weights are random.
        importance: what its width was pruned by, "activations" or "weights"; None where it was not.
    """

    folder: str
    teacher: str
    parameters: int
    teacher_parameters: int
    layers: list[int] | None
    importance: str | None

    def __str__(self) -> str:
        share = self.parameters / self.teacher_parameters
        return f"{self.folder}: {self.parameters:,} weights, {share:.0%} of {self.teacher}"


def student_of(
    teacher: LocalModel | str | Path,
    out: str | Path,
    *,
    layers: int | Sequence[int] | None = None,
    width: Width | None = None,
    sizes: Mapping[str, Any] | None = None,
    calibration: Sequence[str] = (),
    length: int = 512,
    seed: int = 0,
    catalog: Catalog | None = None,
) -> Student:
    """Make a smaller model of the same family and tokenizer and write it to the folder `out`, whole or not at all.

    With `layers` and `width` together the width is pruned first, while importance can still be measured on the whole
    teacher. A student that is there already is not made again.

    Args:
        teacher: a loaded model, whose dtype the student gets, or weights (a catalog name, hub id, folder or GGUF file),
            of which it gets the dtype that they are stored in.
        out: the folder to write.
        layers: how many layers to keep, evenly spread, or which, from 0.
        width: sizes to prune to.
        sizes: keys of the config instead of the two: a student with random weights (see `from_config`).
        calibration: texts by which importance is measured; without any, the norms of the weights decide.
        length: calibration texts are cut off after so many tokens.
        seed: of random weights.
        catalog: where names are looked up.

    Raises:
        ConfigError: nothing to change, settings that clash, or sizes that cannot be.
        DataError: `out` holds something else.
        ModelError: the teacher is no causal LM, or of a family that cannot be cut so.
    """
    if layers is None and width is None and not sizes:
        raise ConfigError("say what the student has less of: layers, width, or sizes for random weights")
    if sizes and (layers is not None or width is not None):
        raise ConfigError(
            "sizes make a student with random weights; layers and width cut the teacher: give one of them"
        )
    out = Path(out)
    name = teacher.weights if isinstance(teacher, LocalModel) else str(teacher)
    dtype = str(teacher.model.dtype) if isinstance(teacher, LocalModel) else "stored"
    asked: list[Any] = [
        identity_of(name),
        dtype,
        layers if isinstance(layers, int | None) else list(layers),
        seed,
        length,
    ]
    asked += [width and asdict(width), dict(sizes or {}), list(calibration)]
    identity = hashlib.sha256(json.dumps(asked, default=str).encode()).hexdigest()
    with locked(f"student-{hashlib.sha256(str(out.resolve()).encode()).hexdigest()[:24]}"):
        done = _made(out, identity)
        if done is not None:
            return done
        local = teacher if isinstance(teacher, LocalModel) else _stored(str(teacher), catalog)
        made, kept, source = _cut(local, layers, width, sizes, calibration, length, seed)
        student = Student(
            folder=str(out),
            teacher=name,
            parameters=sum(weight.numel() for weight in made.parameters()),
            teacher_parameters=local.parameters,
            layers=kept,
            importance=source,
        )
        facts = {"identity": identity, "licence": local.licence, "kind": "causal-lm", "student": asdict(student)}
        with install(out, facts) as partial:
            made.save_pretrained(partial, safe_serialization=True)
            local.tokenizer.save_pretrained(partial)
    return student


def _stored(weights: str, catalog: Catalog | None) -> LocalModel:
    """Return a teacher in the dtype that its files have."""
    return LocalModel(weights, dtype=stored_dtype(weights, catalog), device="cpu", catalog=catalog).load()


def _cut(
    local: LocalModel,
    layers: int | Sequence[int] | None,
    width: Width | None,
    sizes: Mapping[str, Any] | None,
    calibration: Sequence[str],
    length: int,
    seed: int,
) -> tuple[Any, list[int] | None, str | None]:
    """Return the student, the layers it kept, and what its width was pruned by."""
    model = local.model
    if sizes:
        made = from_config(model.config, seed=seed, dtype=model.dtype, **sizes)
        tokens = max(local.tokenizer.get_vocab().values(), default=-1) + 1
        if made.config.vocab_size < tokens:
            raise ConfigError(f"vocab_size {made.config.vocab_size} is less than the {tokens} tokens of the tokenizer")
        return made, None, None
    count = model.config.num_hidden_layers
    one_by_one = None if isinstance(layers, int | None) else layers
    # Looked at before the long measuring, so that what cannot be is said at once.
    kept = kept_layers(count, layers if isinstance(layers, int) else None, one_by_one)
    source = None
    if width is not None:
        check(Anatomy(model), width)
        ranked = (
            by_activations(model, local.tokenizer, calibration, length=length) if calibration else by_weights(model)
        )
        model, source = prune_width(model, **asdict(width), importance=ranked), ranked.source
    if layers is not None:
        model = drop_layers(model, layers=kept)
    return model, kept, source


def _made(out: Path, identity: str) -> Student | None:
    """Return the student that is there already, or None where the folder is empty or missing.

    Raises:
        DataError: the folder holds another student, or something else altogether.
    """
    if not out.exists():
        return None
    if not out.is_dir():
        raise DataError(f"{out} is a file; give a new folder")
    marker = read_marker(out)
    if marker is not None and marker.get("identity") == identity:
        return Student(**marker["student"])
    others = sorted(entry.name for entry in out.iterdir())
    if MARKER in others and marker is not None and "student" in marker:
        raise DataError(f"{out} holds another student; give a new folder, or remove it")
    if others:
        raise DataError(f"{out} holds {others[0]} already; give a new folder")
    return None
