"""The swarm: call functions, draw streams and move files between machines.  Connections, not robots.

Scripts import `pynet`, which has the public names.  To read how it works follow one call from end to end:

    gateway      listens, and can stop it all; `pool`: who is in it, `admission`: who may be
    handler      the gateway's end of a pair: a thread that reads requests and runs subroutines
    subroutines  what may be asked for, by name and role
    gather       draws a generator for one peer; `pump` for many, `pumped` sends what that gives
    session      which frame is legal when, for both ends: no socket, no thread
    wire         what a frame is and how it becomes bytes; `decoder`: the way back
    channel      one socket that carries frames; `tls`: one whose ends have proved who they are
    exchange     the calling end: a request and its answer; `pair`, `streaming`, `client` are built on it
    controller   opens pairs with gateways, `opening` says how; `redial` opens a lost one again
    subscription a stream in a thread of its own
    swarm        many pairs as one thing; `crew` has the threads, `dealing` the work, `results` what comes

Beside it: `mailbox` hands items from thread to thread, `keys`, `trust` and `pairing` say whom to believe,
`discovery` finds gateways, `transfer` moves files, and each `cli_*` is a verb of the command line.
Why it is built so: docs/explanation/how-it-is-built.md; every byte: docs/reference/wire-format.md.
"""
