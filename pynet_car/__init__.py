"""What a car and its driver share: neither the daemon nor the window, and both are built on it.

    messages  the contract: every message between the two, its units and limits
    operator  drives a car over the swarm; `keeper` keeps its `lines` open, `sender` sends what is wished
    reflex    brakes before what is ahead; `path` follows a path, `odometry` is motion from ticks: all pure
    world     a simulated car and what it drives in

How a command's age is known without a common clock: docs/explanation/how-it-is-built.md.
"""
