"""Accuracy metrics against scikit-learn and against ties worked out by hand."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, top_k_accuracy_score

from retrace.evaluate.metrics import mean_class_accuracy, top_k, top_k_correct


@pytest.fixture
def scored() -> tuple[np.ndarray, np.ndarray]:
    """400 clips of 7 unequally frequent classes, logits that favour the true one; no ties."""
    rng = np.random.default_rng(5)
    labels = rng.choice(7, size=400, p=[0.4, 0.2, 0.1, 0.1, 0.1, 0.06, 0.04])
    logits = rng.normal(size=(400, 7)).astype(np.float32)
    logits[np.arange(400), labels] += 1
    return logits, labels


@pytest.mark.parametrize("k", [1, 2, 5])
def test_top_k_agrees_with_scikit_learn(scored, k):
    logits, labels = scored
    assert top_k(logits, labels, k) == pytest.approx(top_k_accuracy_score(labels, logits, k=k), abs=1e-12)


def test_top_1_is_the_accuracy_of_argmax(scored):
    logits, labels = scored
    assert top_k(logits, labels, 1) == pytest.approx(accuracy_score(labels, logits.argmax(1)), abs=1e-12)


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_mean_class_accuracy_agrees_with_scikit_learn_and_skips_absent_classes(scored):
    logits, labels = scored
    for keep in (labels >= 0, labels != 3):
        expected = balanced_accuracy_score(labels[keep], logits[keep].argmax(1))
        assert mean_class_accuracy(logits[keep], labels[keep]) == pytest.approx(expected, abs=1e-12)


def test_top_k_is_certain_once_k_reaches_the_number_of_classes(scored):
    logits, labels = scored
    assert top_k(logits, labels, 7) == top_k(logits, labels, 9) == 1


def test_of_equal_logits_the_lower_class_index_comes_first():
    logits = np.zeros((4, 4), dtype=np.float32)
    labels = np.arange(4)
    assert top_k_correct(logits, labels, 1).tolist() == [True, False, False, False]
    assert top_k_correct(logits, labels, 3).tolist() == [True, True, True, False]
