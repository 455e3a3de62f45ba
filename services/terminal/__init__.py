"""What the terminal does: `cli.py` says which commands there are, this says what each of them comes to."""
