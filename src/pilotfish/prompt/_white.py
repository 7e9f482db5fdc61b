"""What a model that changes requests is, over a model whose probabilities are here: one of the same kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pilotfish.model import Model, Request
from pilotfish.models.classify.labeller import Chooser as WhiteBox

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["WhiteFace"]


class WhiteFace:
    """Mixin: renders requests as they are changed (`shown`), and leaves the rest to `model`.

    So a labeller, or whatever else reads probabilities, goes around it.
    """

    model: Model

    def shown(self, request: Request) -> Request:
        """Return the request as the model gets it; the class that mixes this in says how."""
        raise NotImplementedError

    @property
    def _white(self) -> WhiteBox:
        white: Any = self.model
        return white  # type: ignore[no-any-return]

    @property
    def max_length(self) -> int:
        """The most tokens the model takes."""
        return self._white.max_length

    def render(self, request: Request) -> str:
        """Return the prompt text of a request."""
        return self._white.render(self.shown(request))

    def count(self, text: str) -> int:
        """Return the number of tokens of a text."""
        return self._white.count(text)

    def choices(
        self, contexts: Sequence[str], choices: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float64]:
        """Return log p(choice | context): (contexts, choices)."""
        return self._white.choices(contexts, choices, progress=progress)
