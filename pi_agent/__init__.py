"""The robot daemon: a guardian that owns the motors, and a worker that has all that may hang or crash.

In the order in which to read it:

    __main__    the program; `daemon` builds the guardian's process, `cli` is every other verb
    guardian    its tick, every 10 ms: drain, decide, put out; `supervisor` runs it and keeps a worker
    failsafe    who drives, and whether the motors may turn: pure, as `mixing`; `following` tracks a path
    drivetrain  what a duty means for the outputs, which `outputs` has a file each for
    neutral     stops everything when all of the above is dead
    link        what guardian and worker say to each other
    worker      the child process: gateway, `camera`, `sensors`; `offers`: what it offers by name

Beside it: `config` reads agent.toml, `simulated` wires gpiozero to a simulated car, `doctor` says what is
wrong with a machine, `selftest` whether the robot stops.
What can go wrong and what stops the car then: docs/explanation/safety-case.md.
"""
