"""Text and JSON made of a state, for people in pipes and for other programs. Pure: a state in, text out."""
