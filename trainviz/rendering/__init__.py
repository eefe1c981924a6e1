"""Turn recordings into frames, figures and files. Internal.

Enter through :func:`trainviz.animate` and :func:`trainviz.compare`.
"""
