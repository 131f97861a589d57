"""Diver segmentation: a detector fine-tuned on labelled frames, and what it finds in videos."""
