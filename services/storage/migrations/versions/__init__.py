"""One file per change of the schema, numbered. Each spells its tables out: history must not move with the code."""
