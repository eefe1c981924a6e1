"""The window onto input space, and how its points become model inputs. Internal.

Enter through :class:`trainviz.Domain`.
"""
