"""The lean engine: plain HTTP on a bare socket, read by h11, or without it where an answer is as plain as nearly all are.

Nothing that only one check in a thousand needs: that is for the other engine.
"""
