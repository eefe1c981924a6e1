"""Make a recording from the checkpoints that a training left behind. Internal."""
