"""Translate a framework's hooks into captures: thin adapters. Public.

Each module imports its framework only when it is itself imported, and says
which extra to install when the framework is missing.
"""
