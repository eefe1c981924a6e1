"""Show recordings interactively: one page that needs no network, no server and no library. Internal.

``static/`` holds the player, plain JavaScript modules that any host can use; :mod:`.page` writes
them and the recordings into one HTML file.
"""
