"""Weights that others released, in our names: one module a release, and `registry` as the door to them."""
