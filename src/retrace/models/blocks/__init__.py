"""Blocks that are inserted into a backbone by position (see `retrace.models.insert`)."""
