"""What every test may count on: signals that do what they do in a terminal, also where the run itself was told to ignore them.

`nohup` and a shell's `&` have a program ignore SIGHUP and SIGINT, and whatever it starts inherits that. A handler is not inherited.
"""

import signal

for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGTSTP, signal.SIGCHLD):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, lambda *_: None)
