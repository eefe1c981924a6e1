"""Hold what several packages use: arrays, checks, compiled loops, random state. Internal."""
