"""The verbs, one module per verb or family; each offers `cli`, a typer application."""
