"""What is to be done: pages, scales and datasets in, cells, runs and views out.

Pure: the standard library, yaml and pydantic. Nothing here may import numpy, pandas or torch.
"""
