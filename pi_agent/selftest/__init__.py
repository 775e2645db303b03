"""The robot tries itself: what it has, and whether it stops."""
