"""The command line: one command a module. Internal.

Each has a function that adds its parser. Slow imports (numpy, matplotlib, a
framework) happen when the command runs, so that ``--help`` and errors in the
options appear immediately.
"""
