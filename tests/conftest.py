from hypothesis import settings

# A deadline for each example fails where the machine is busy with something else.
settings.register_profile("trainviz", deadline=None, max_examples=50)
settings.load_profile("trainviz")
