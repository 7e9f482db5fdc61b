"""Text classification: features (TF-IDF, encoder, static, bag) under a softmax or sigmoids; any model as a labeller."""

from __future__ import annotations

from pilotfish.models.classify.bag import BagFeatures
from pilotfish.models.classify.classifier import ClassifierModel, TextClassifier, load_classifier
from pilotfish.models.classify.features import EncoderFeatures, Features, StaticFeatures, TfidfFeatures
from pilotfish.models.classify.head import SoftmaxHead
from pilotfish.models.classify.labeller import Labeller, Labels
from pilotfish.models.classify.ngrams import NgramFeatures
from pilotfish.models.classify.remembered import Remembered
from pilotfish.models.classify.scope import Scope
from pilotfish.models.classify.several import SeveralClassifier, SeveralModel, SigmoidHead
from pilotfish.models.classify.several_labeller import SeveralLabeller

__all__ = [
    "BagFeatures",
    "ClassifierModel",
    "EncoderFeatures",
    "Features",
    "Labeller",
    "Labels",
    "NgramFeatures",
    "Remembered",
    "Scope",
    "SeveralClassifier",
    "SeveralLabeller",
    "SeveralModel",
    "SigmoidHead",
    "SoftmaxHead",
    "StaticFeatures",
    "TextClassifier",
    "TfidfFeatures",
    "load_classifier",
]
