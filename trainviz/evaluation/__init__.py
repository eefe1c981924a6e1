"""Ask a model at grid points and return a class probability map. Internal.

Enter through :func:`trainviz.evaluate`.
"""
