"""Marks over a map: the samples that a plane goes through, and where it is a guess."""
