"""Apprise: the real one where it is installed, its absence told where it is not."""

import asyncio
import importlib.util
import subprocess
import sys

import pytest
from receivers import Receiver, alert, message, over

from perfconsole.config.load import parse_text
from perfconsole.core.errors import ConfigError
from perfconsole.notify.channel import SendError
from perfconsole.notify.making import channels

installed = pytest.mark.skipif(importlib.util.find_spec("apprise") is None, reason="apprise is not installed (an extra of ours)")
# Its plugins are read with calls that Python 3.12 and later warn of.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def apprise(urls, keys="", env=None):
    (made,) = channels(parse_text(f'[[notify]]\nname = "others"\ntype = "apprise"\nurls = {urls}\n{keys}', env={}), env or {})
    return made


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


@installed
@pytest.mark.parametrize(("one", "kind"), [(alert(), "failure"), (alert(severity="warning"), "warning"), (over(alert()), "success")])
def test_it_is_told(receiver, one, kind):
    made = apprise('["${URL}"]', env={"URL": f"json://127.0.0.1:{receiver.port}/hook?+X-Token=hush-token"})
    assert asyncio.run(made.send(message(one))) == "taken by 1 service"
    told = receiver.last.json
    assert (told["type"], told["title"].partition("]")[0]) == (kind, "[OK" if kind == "success" else f"[{told['title'][1:5]}")
    assert "rule: memory-critical" in told["message"]
    assert receiver.last.headers["X-Token"] == "hush-token"


@installed
def test_a_failure_is_told_without_the_url_and_written_nowhere(receiver, capfd):
    receiver.status = 500
    url = f"json://127.0.0.1:{receiver.port}/hook?+X-Token=hush-token"
    made = apprise('["${URL}"]', env={"URL": url})
    with pytest.raises(SendError) as caught:
        asyncio.run(made.send(message(alert())))
    assert str(caught.value).startswith("not taken: ")
    assert "500" in str(caught.value)
    assert not caught.value.final
    for text in (str(caught.value), repr(made), made.preview(message(alert())), apprise(f'["{url}"]').preview(message(alert()))):
        assert "hush-token" not in text
    assert capfd.readouterr() == ("", "")


@installed
def test_a_url_of_nobody():
    with pytest.raises(SendError, match=r"Apprise knows no such URL: the 1\. of urls"):
        asyncio.run(apprise('["nosuchservice://hush"]').send(message(alert())))


@installed
def test_nothing_is_written_over_the_screen(tmp_path):
    """Where nobody listens to its log, Python writes warnings to standard error."""
    path = tmp_path / "c.toml"
    path.write_text('[[notify]]\nname = "x"\ntype = "apprise"\nurls = ["nosuchservice://hush"]\n')
    path.chmod(0o600)
    done = subprocess.run(
        [sys.executable, "-m", "perfconsole", "--config", path, "notify", "test", "x"], check=False, capture_output=True, text=True
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (3, "perfconsole: x was not told: Apprise knows no such URL: the 1. of urls\n")
    assert "hush" not in done.stdout


@installed
def test_it_ends_in_time(receiver):
    receiver.mood = "hang"
    import apprise as library

    assert library.Apprise  # imported before: that takes longer than the time given here
    with pytest.raises(SendError, match="no answer within"):
        asyncio.run(apprise(f'["json://127.0.0.1:{receiver.port}/"]', 'timeout = "500ms"').send(message(alert())))


def test_without_it_the_others_are_told(monkeypatch, receiver):
    monkeypatch.setitem(sys.modules, "apprise", None)
    text = f"""
[[notify]]
name = "others"
type = "apprise"
urls = "${{URL}}"
severities = ["info"]
resolved = false
[[notify]]
name = "ops"
type = "webhook"
url = "{receiver.url}"
"""
    missing, ops = channels(parse_text(text, env={}), {})
    assert asyncio.run(told(ops)) == "200 ok"
    why = "[[notify]] others: apprise is not installed: pip install 'perfconsole[apprise]'"
    with pytest.raises(SendError) as caught:
        asyncio.run(told(missing))
    assert (str(caught.value), caught.value.final, caught.value.unsure) == (why, False, False)
    assert (missing.name, missing.wants, missing.send_resolved, missing.each) == ("others", {"info"}, False, False)
    with pytest.raises(ConfigError) as refused:  # whoever tries it is told at once
        missing.preview(message(alert()))
    assert str(refused.value) == why


async def told(made):
    try:
        return await made.send(message(alert()))
    finally:
        await made.close()
