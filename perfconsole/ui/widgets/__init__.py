"""Live widgets on the line API: a style on every segment, only changed spans repainted, no layout in steady state."""
