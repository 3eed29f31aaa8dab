"""How a training is looked at: hooks and figures, when they are due, and how they become rows."""
