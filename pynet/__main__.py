"""`python -m pynet VERB`, for where pip's scripts are on no path."""

from __future__ import annotations

from pynet_core.cli import main

main()
