"""Evaluate a model on a grid and return a class probability map. Internal.

Enter through :func:`trainviz.evaluate`.
"""
