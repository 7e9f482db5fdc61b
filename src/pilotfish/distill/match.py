"""Matching of what goes on inside student and teacher: hidden states, attention, relations among tokens.

    match = HiddenMatch(layer_map(15, 30), student_dim=384, teacher_dim=576)
    loss = match(student_out.hidden_states, teacher_out.hidden_states, lengths)

The projections of `HiddenMatch` are trained with the student (its parameters go to the optimizer too) but are no
part of it: a saved student does not have them. All losses are means over real tokens; what is padding is told by
lengths or by a mask, never by a token's id, and what stands there counts for nothing, infinities included.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pilotfish.errors import ConfigError

if TYPE_CHECKING:
    from pilotfish.distill._match_attention import AttentionMatch
    from pilotfish.distill._match_capture import Projections
    from pilotfish.distill._match_hidden import HiddenMatch
    from pilotfish.distill._match_relation import RelationMatch

__all__ = ["AttentionMatch", "HiddenMatch", "Projections", "RelationMatch", "layer_map"]

# Modules of torch, imported when they are first asked for: this file is read without torch too.
_LAZY = {
    "AttentionMatch": "_match_attention",
    "HiddenMatch": "_match_hidden",
    "Projections": "_match_capture",
    "RelationMatch": "_match_relation",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    from pilotfish._extras import need

    need("torch", "train")
    return getattr(import_module(f"pilotfish.distill.{_LAZY[name]}"), name)


def layer_map(
    student_layers: int, teacher_layers: int, how: Literal["uniform", "last"] | Mapping[int, int] = "uniform"
) -> dict[int, int]:
    """Return which teacher layer each student layer learns from; 0 is the embedding, 1 the first layer's output.

    Args:
        student_layers: how many layers the student has.
        teacher_layers: how many its teacher has.
        how: "uniform": layer m learns from m x teacher / student (Jiao et al. 2020, TinyBERT, section 3.1), rounded, 0
            from 0; "last": the student's layers from the teacher's last ones (Sun et al. 2019, PKD-Last), 0 from none;
            or the map itself. MiniLM's is {student_layers: teacher_layers}.

    Raises:
        ConfigError: more student layers than teacher layers, or a map of layers that are not there.
    """
    if student_layers < 1 or teacher_layers < 1:
        raise ConfigError(f"both models need a layer, not {student_layers} and {teacher_layers}")
    if isinstance(how, Mapping):
        found = {int(layer): int(of) for layer, of in sorted(how.items())}
        for layer, of in found.items():
            if not (0 <= layer <= student_layers and 0 <= of <= teacher_layers):
                raise ConfigError(
                    f"layer {layer} from {of}: the student has layers 0 to {student_layers}, its teacher 0 to "
                    f"{teacher_layers} (0 is the embedding)"
                )
        if not found:
            raise ConfigError("the map of layers is empty")
        return found
    if how not in ("uniform", "last"):
        raise ConfigError(f'layers are mapped "uniform", "last" or one by one, not {how!r}')
    if student_layers > teacher_layers:
        raise ConfigError(
            f"a student of {student_layers} layers has more than its teacher's {teacher_layers}; map them one by one"
        )
    if how == "last":
        return {layer: teacher_layers - student_layers + layer for layer in range(1, student_layers + 1)}
    # In whole numbers, halves rounded up: the same on every machine.
    return {
        layer: (2 * layer * teacher_layers + student_layers) // (2 * student_layers)
        for layer in range(student_layers + 1)
    }
