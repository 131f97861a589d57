"""Recurrent Space-time Graphs (Nicolicioiu et al., NeurIPS 2019): the graph and its networks."""
