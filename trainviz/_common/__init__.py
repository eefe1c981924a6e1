"""Hold what several rooms use: arrays, checks, compiled loops, random state. Internal."""
