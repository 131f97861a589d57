"""The official annotations, one module per format."""
