"""What stands around a map: axes, legend, data points, metric strip, panels. Internal."""
