"""Measure recordings: dynamics, boundaries, reproducibility. Internal.

Enter through :func:`trainviz.dynamics` and :func:`trainviz.reproducibility`.
"""
