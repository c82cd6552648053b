"""Who runs this process; needs nothing, so that a command can say so without an engine."""

import os
import pwd


def actor() -> str:
    """Who runs this process, by its uid: the environment's word (LOGNAME, USER) is anybody's. Not every uid has a name in a container."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
