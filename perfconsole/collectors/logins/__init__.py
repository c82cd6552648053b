"""Who tries to get in: what sshd, sudo, su, login, PAM and PostgreSQL say of it, as a table and a few events.

The journal hands its lines over; where there is none, the file of a syslog daemon is followed. Observations, no intrusion detection.
"""

from perfconsole.collectors.logins.counting import Logins

__all__ = ["Logins"]
