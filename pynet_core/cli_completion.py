"""`pynet completion`: what lets a shell complete verbs, options and their values."""

from __future__ import annotations

import click
from click.shell_completion import ShellComplete, get_completion_class

INSTALL = {
    "bash": 'eval "$(pynet completion bash)"     in ~/.bashrc',
    "zsh": 'eval "$(pynet completion zsh)"      in ~/.zshrc, after compinit',
    "fish": "pynet completion fish | source      in ~/.config/fish/config.fish",
}


@click.command(
    epilog="\b\nTo have it in every new shell, write\n" + "\n".join(f"  {line}" for line in INSTALL.values())
)
@click.argument("shell", type=click.Choice(list(INSTALL)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that completes `pynet` in this SHELL."""
    root = context.find_root()
    kind = get_completion_class(shell)
    assert kind is not None, "click knows all three"
    made = kind(root.command, {}, "pynet", "_PYNET_COMPLETE")
    # Not its own source(), which runs a bash to see how old it is.
    click.echo(ShellComplete.source(made))
