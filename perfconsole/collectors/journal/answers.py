"""What a program answers: run to its end, or to that of its time, in a thread that may wait. Its answer is bounded."""

import os
import selectors
import subprocess
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

WITHIN_S: Final = 4.5
"""A request is answered within 5 s (`requests.Spec`)."""

MOST_BYTES: Final = 1_048_576
"""Twenty lines of a journal have 20 KiB; each may have a thousand fields of 4 KiB."""

_READ_BYTES: Final = 65_536


class Answer(NamedTuple):
    """What was written before `fault` (in words; empty where it ended by itself and well)."""

    out: bytes
    fault: str


def answer(arguments: Sequence[str], within_s: float = WITHIN_S, most_bytes: int = MOST_BYTES) -> Answer:
    """Run a program and wait; it is killed when it takes too long or says too much. Never on a loop."""
    try:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"LC_ALL": "C", "SYSTEMD_COLORS": "0"},
            start_new_session=True,
        )
    except OSError as error:
        return Answer(b"", f"cannot be run: {error.strerror}")
    assert process.stdout
    assert process.stderr
    out, err = bytearray(), bytearray()
    deadline = time.monotonic() + within_s
    with process.stdout, process.stderr:
        fault = _hear({process.stdout.fileno(): out, process.stderr.fileno(): err}, deadline, most_bytes)
        if fault:
            process.kill()
    try:
        code = process.wait(max(0.5, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:  # it closed its output and lives on
        process.kill()
        code = process.wait()
    if not fault and code:
        said = err.decode("utf-8", "replace").strip().splitlines()
        fault = said[0] if said else f"ended with exit code {code}"
    return Answer(bytes(out), fault)


def _hear(texts: dict[int, bytearray], deadline: float, most_bytes: int) -> str:
    """Read descriptors to their ends; why that was given up, in words, or empty."""
    with selectors.DefaultSelector() as selector:
        for fd in texts:
            selector.register(fd, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                return "did not answer in time"
            for key, _ in ready:
                data = os.read(key.fd, _READ_BYTES)
                texts[key.fd] += data
                if not data:
                    selector.unregister(key.fd)
            if sum(map(len, texts.values())) > most_bytes:
                return f"said more than {most_bytes} bytes"
    return ""
