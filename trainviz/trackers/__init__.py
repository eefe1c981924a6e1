"""Write stills, film, page and curves of a recording into experiment trackers. Internal."""
