"""The cached top-k teacher: its distributions are computed once and stored, so it is loaded once or never."""

from __future__ import annotations

from pilotfish.distill.cache._codec import Codec
from pilotfish.distill.cache._key import example_key
from pilotfish.distill.cache._manifest import Manifest
from pilotfish.distill.cache.capture import Captured, capture
from pilotfish.distill.cache.loss import bucketed
from pilotfish.distill.cache.store import TopKCache

__all__ = ["Captured", "Codec", "Manifest", "TopKCache", "bucketed", "capture", "example_key"]
