"""Measure trainviz against what people use without it, side by side in one run.

``python -m benchmarks`` from the root of a checkout; ``--help`` names the options.
Machines differ and are busy with other things, so every figure is a ratio of two
measurements that take turns, and comes with its spread.
"""
