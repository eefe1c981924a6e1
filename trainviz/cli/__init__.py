"""The command line: one command a module. Internal.

Each has a function that adds its parser. What a command works with (numpy,
matplotlib, a framework) is imported when the command runs, so that ``--help``
and a mistyped option answer at once.
"""
