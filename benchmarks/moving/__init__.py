"""Programs that move files, each in two processes of its own: what `benchmarks.files` compares.

What ends in `_end.py` runs in those processes and imports its own library and
nothing of the others, so that it runs in an environment that has only that.
"""
