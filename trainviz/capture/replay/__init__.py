"""Make a recording from the checkpoints of a finished training. Internal."""
