"""Numbers computed from scores. logits_NK: N clips, K classes; labels_N: the true classes."""

import numpy as np


def top_k_correct(logits_NK: np.ndarray, labels_N: np.ndarray, k: int) -> np.ndarray:
    """Return for each clip whether its class is among the k highest logits (N,) bool.

    Of equal logits the lower class index comes first, so the answer does not depend on a sort.
    """
    true_N1 = np.take_along_axis(logits_NK, labels_N[:, None], axis=1)
    ahead_NK = logits_NK > true_N1
    tied_before_NK = (logits_NK == true_N1) & (np.arange(logits_NK.shape[1]) < labels_N[:, None])
    return (ahead_NK | tied_before_NK).sum(axis=1) < k


def top_k(logits_NK: np.ndarray, labels_N: np.ndarray, k: int) -> float:
    """Return the share of clips whose class is among the k highest logits."""
    return float(top_k_correct(logits_NK, labels_N, k).mean())


def mean_class_accuracy(logits_NK: np.ndarray, labels_N: np.ndarray) -> float:
    """Return top-1 per class, averaged over the classes that occur in `labels_N`."""
    correct_N = top_k_correct(logits_NK, labels_N, 1)
    return float(np.mean([correct_N[labels_N == label].mean() for label in np.unique(labels_N)]))
