"""Secrets never leave the collector: a table of how they are really written, and of what must stay readable."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfconsole.core.redact import MASK, redact, redact_command

HIDDEN = [
    ("psql postgresql://app:hunter2@db:5432/shop", "psql postgresql://app:***@db:5432/shop"),
    ("x redis://:hunter2@cache:6379/0", "x redis://:***@cache:6379/0"),
    ("x amqp://u:hunt/er2@mq/v", "x amqp://u:***@mq/v"),
    ("PGPASSWORD=hunter2 psql -h db", "PGPASSWORD=*** psql -h db"),
    ("MYSQL_PWD=hunter2 mysql", "MYSQL_PWD=*** mysql"),
    ("DB_PASS=hunter2 run", "DB_PASS=*** run"),
    ("app --password=hunter2 --port 80", "app --password=*** --port 80"),
    ("app --password hunter2 --port 80", "app --password *** --port 80"),
    ("app --db.password hunter2", "app --db.password ***"),
    ("app -storepass hunter2", "app -storepass ***"),
    ("curl 'https://api/x?token=hunter2&page=2'", "curl 'https://api/x?token=***&page=2'"),
    ("api_key=hunter2", "api_key=***"),
    ("apikey: hunter2", "apikey: ***"),
    ("X-Api-Key: hunter2", "X-Api-Key: ***"),
    ("Authorization: Bearer hunter2.abc", "Authorization: Bearer ***"),
    ("authorization: Basic aHVudGVyMg==", "authorization: Basic ***"),
    ("Authorization: hunter2", "Authorization: ***"),
    ("got Bearer hunter2hunter2", "got Bearer ***"),
    ('{"user": "me", "password": "hunt er2", "port": 1}', '{"user": "me", "password": ***, "port": 1}'),
    ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/hunter2", "aws_secret_access_key = ***"),
    ("AWS_ACCESS_KEY_ID was AKIAHUNTER2HUNTER222 then", "AWS_ACCESS_KEY_ID was *** then"),
    ("git clone https://ghp_hunter2hunter2hunter2@github.com/x", "git clone https://***@github.com/x"),
    ("jwt eyJhunter2hunter2.eyJhunter2.hunter2", "jwt ***"),
    ("host=db password=hunter2 dbname=x", "host=db password=*** dbname=x"),
    ("Server=db;UID=sa;PWD=hunter2", "Server=db;UID=sa;PWD=***"),
    ("sh -c mysql -u root -phunter2 shop", "sh -c mysql -u root -p*** shop"),
]

KEPT = [
    "nginx: worker process",
    "/usr/bin/ssh -p22 host",
    "java -Dkeystore=/etc/pki -jar app.jar",
    "postgres: app shop 10.0.0.1(5432) idle",
    "curl https://host:8443/a/b@c",
    "/usr/lib/systemd/systemd-ask-password --watch",
    "model --max-tokens=512 --tokenizer=bpe",
    "compass=north",
    "monkey --donkey",
    "app --password-file=/etc/app/secret.txt",
    "http://[::1]:80/",
]


@pytest.mark.parametrize(("text", "shown"), HIDDEN)
def test_hides(text, shown):
    assert redact(text) == shown
    assert redact(shown) == shown


@pytest.mark.parametrize("text", KEPT)
def test_keeps(text):
    assert redact(text) is text or redact(text) == text
    assert redact_command(text.split(" ")) == text


COMMANDS = [
    (["mysql", "-uroot", "-phunter2", "shop"], "mysql -uroot -p*** shop"),
    (["/usr/bin/mysqldump", "-phunter2"], "/usr/bin/mysqldump -p***"),
    (["mysql", "-p", "shop"], "mysql -p shop"),
    (["ssh", "-p2222", "mysql-host"], "ssh -p2222 mysql-host"),
    (["sshpass", "-p", "hunter2", "ssh", "h"], "sshpass -p *** ssh h"),
    (["sshpass", "-phunter2", "ssh", "h"], "sshpass -p*** ssh h"),
    (["redis-cli", "-a", "hunter2", "ping"], "redis-cli -a *** ping"),
    (["curl", "-u", "me:hunter2", "http://h"], "curl -u me:*** http://h"),
    (["curl", "-H", "Authorization: Bearer hunter2", "http://h"], "curl -H Authorization: Bearer *** http://h"),
    (["app", "--password", "hunter2 with hunter2", "x"], "app --password *** x"),
    (["app", "--password=hunter2 and hunter2", "x"], "app --password=*** x"),
    (["app", "--password", "--port", "80"], "app --password --port 80"),
    (["env", "API_TOKEN=hunter2\nhunter2", "app"], "env API_TOKEN=*** app"),
    (["sh", "-c", "PGPASSWORD=hunter2 psql -h db"], "sh -c PGPASSWORD=*** psql -h db"),
    ([""], ""),
    (["password"], "password"),
]


@pytest.mark.parametrize(("arguments", "shown"), COMMANDS)
def test_commands(arguments, shown):
    assert redact_command(arguments) == shown


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=9).filter(lambda s: not s.startswith("-")))
def test_whatever_the_password_is(password):
    secret = "Zx" + password  # never a substring of what surrounds it
    for arguments in (
        ["app", "--password", secret],
        ["app", f"--password={secret}"],
        ["mysql", f"-p{secret}"],
        ["env", f"DB_TOKEN={secret}"],
    ):
        line = redact_command(arguments)
        assert secret not in line
        assert line.endswith(MASK)


@pytest.mark.parametrize(
    "text",
    [
        "pass" * 20_000,
        "password=" * 9_000,
        "://a:" * 16_000,
        "-" * 80_000 + "token",
        "mysql " * 14_000,
        "token" + " " * 80_000,
        "eyJ" + "a." * 40_000,
        "@" + "://a:b://a:" * 7_000 + "@",
        (" --" + "a." * 19) * 1_950 + "auth",
        "cookie: " * 10_000,
        "curl http ldapsearch " + "-sSs " * 16_000,
        "curl " + "\"'" * 40_000,
    ],
    ids=["pass", "password=", "urls", "dashes", "mysql", "blanks", "jwt", "logins", "options", "cookies", "clusters", "quotes"],
)
def test_hostile_text_takes_no_longer_than_its_length(text):
    arguments = text.split(" ")
    began = time.process_time()
    redact(text)
    redact_command(arguments)
    # 80,000 characters take at most 0.2 s each way on a quiet machine (measured: 0.17); quadratic patterns take minutes.
    assert time.process_time() - began < 8
