"""The figures, from arrays or frames to a matplotlib figure. `drawing` has their look.

Functions have the names of their rules and files.
"""
