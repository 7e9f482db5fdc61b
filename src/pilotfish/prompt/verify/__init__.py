"""Verify a model's answers before they are given: by what can be checked, by evidence, or by a small model taught to.

A verifier is a function `(request, reply) -> Verdict`, the contract that cascades accept by; `Verified` is a model.
"""

from pilotfish.prompt.verify.answers import AnswerVerifier, Trusts
from pilotfish.prompt.verify.cited import CitedAgreement, by_support
from pilotfish.prompt.verify.every import Together, Verifier
from pilotfish.prompt.verify.grounded import Grounded
from pilotfish.prompt.verify.known import Judgement, Known
from pilotfish.prompt.verify.sums import SumsHold
from pilotfish.prompt.verify.tests_pass import PassesTests
from pilotfish.prompt.verify.verified import Verified

__all__ = [
    "AnswerVerifier",
    "CitedAgreement",
    "Grounded",
    "Judgement",
    "Known",
    "PassesTests",
    "SumsHold",
    "Together",
    "Trusts",
    "Verified",
    "Verifier",
    "by_support",
]
