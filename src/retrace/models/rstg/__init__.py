"""Recurrent Space-time Graph Neural Networks (Nicolicioiu et al., NeurIPS 2019): the graph and its networks."""
