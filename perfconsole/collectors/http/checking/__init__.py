"""When checks are carried out, and whose turn it is: rhythm, places, a loop that was held up, and the choice of what suits a check.

Knows a check by its interval, its kind and its last outcome alone; what is asked and answered is for those below.
"""
