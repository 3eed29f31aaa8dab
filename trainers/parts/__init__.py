"""The parts of a training, each kind a plain table from name to part: a new part is one line."""
