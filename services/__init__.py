"""What Panelist knows and does. Nothing in here imports Panel: a script can use it."""
