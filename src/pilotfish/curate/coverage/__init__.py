"""Rows that cover a data set: far from one another, near to all others, one cluster as good as the next."""

from __future__ import annotations

from pilotfish.curate.coverage.clusters import cluster_balanced
from pilotfish.curate.coverage.cover import Cover
from pilotfish.curate.coverage.distinct import distinct
from pilotfish.curate.coverage.kcenter import k_center
from pilotfish.rows.facility import facility_location

__all__ = ["Cover", "cluster_balanced", "distinct", "facility_location", "k_center"]
