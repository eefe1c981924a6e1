"""Show recordings interactively, in one page that needs no network and no library. Internal.

``static/`` holds the player, plain JavaScript modules that any host can use; :mod:`.page` writes
them and the recordings into one HTML file, and :mod:`.server` serves recordings while they grow.
"""
