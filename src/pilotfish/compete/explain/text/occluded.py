"""Words left out one by one: how much less strongly a classifier then holds to what it says. For any classifier.

Source: Zeiler and Fergus 2014 (occlusion), section 4.2; Li et al. 2016 (Understanding Neural Networks through
Representation Erasure), section 3. What several words do together is not seen, and nothing adds up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pilotfish.compete.explain.text._said import said_of
from pilotfish.compete.explain.text.attributed import Attributed
from pilotfish.compete.explain.text.reads import Reads, contrast, logits_of
from pilotfish.compete.explain.text.words import units, without

__all__ = ["by_occlusion"]


def by_occlusion(
    reads: Reads,
    texts: Sequence[str],
    labels: Sequence[str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Attributed]:
    """Return what each word's absence takes away.

    Args:
        reads: any classifier.
        texts: to explain.
        labels: what is explained of each; None is what the classifier says.
        progress: called with the texts that are done.
    """
    said, probabilities, values, _ = said_of(reads, texts, labels)
    found = []
    for row, text in enumerate(texts):
        places = units(text)
        shares = np.zeros(len(places))
        if places:
            logs = logits_of(reads, [without(text, places, [i]) for i in range(len(places))])
            shares = values[row] - logs @ contrast(logs.shape[1], said[row])
        label = reads.classes_[said[row]]
        told = (float(probabilities[row]), tuple(places), shares, 0.0, 0.0, float(values[row]))
        found.append(Attributed(text, label, *told, "occlusion"))
        if progress:
            progress(1)
    return found
