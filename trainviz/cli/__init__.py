"""The commands of the command line, one a module.

Each has a function that adds its parser. What a command works with (numpy,
matplotlib, a framework) is imported when the command runs, so that ``--help``
and a mistyped option answer at once.
"""
