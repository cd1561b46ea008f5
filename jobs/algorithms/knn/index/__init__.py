"""Indexes of nearest neighbours: exact, inverted lists, and a graph. The only package that imports faiss and scipy, and
only in job processes and model servers.

`NeighbourIndex` (neighbour_index.py) is the door; nothing outside imports the other modules.
"""
