"""Where checks are carried out: on the console's own loop while they are few, in a process apart when many.

Both ends of the pipe between the two, and what waits in it, stand here. What a check is and how it is done is not known here: whoever
carries checks out in a process of its own does it with the same `checking` as the console.
"""
