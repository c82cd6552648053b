"""What is sent: a check's URL, headers, credentials and body with its secrets looked up, and what a redirect makes of them.

Pure but for the looking up; whichever client sends it, it is the same request.
"""

import os
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple
from urllib.parse import quote, unquote, urljoin, urlsplit

from perfconsole import __version__
