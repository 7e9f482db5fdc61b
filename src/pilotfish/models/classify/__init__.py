"""Text classification: features and a linear head (TF-IDF, encoder, static), and any model as a labeller."""

from __future__ import annotations

from pilotfish.models.classify.classifier import ClassifierModel, TextClassifier
from pilotfish.models.classify.features import EncoderFeatures, Features, StaticFeatures, TfidfFeatures
from pilotfish.models.classify.head import SoftmaxHead
from pilotfish.models.classify.labeller import Labeller, Labels
from pilotfish.models.classify.ngrams import NgramFeatures
from pilotfish.models.classify.remembered import Remembered

__all__ = [
    "ClassifierModel",
    "EncoderFeatures",
    "Features",
    "Labeller",
    "Labels",
    "NgramFeatures",
    "Remembered",
    "SoftmaxHead",
    "StaticFeatures",
    "TextClassifier",
    "TfidfFeatures",
]
