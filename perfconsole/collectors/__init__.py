"""Collectors: each measures one kind of thing and builds readings and tables. No screens, no storage, no knowledge of each other."""
