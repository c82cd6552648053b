"""Secrets by program: where each takes them, what of its command line stays readable, and that no form lets one through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfconsole.core.redact import redact, redact_command

SECRET = "hunter2"

HIDDEN = """
curl -ume:hunter2 http://h | curl -ume:*** http://h
curl -sSu me:hunter2 http://h | curl -sSu me:*** http://h
curl -sSume:hunter2 http://h | curl -sSume:*** http://h
curl --user=me:hunter2 http://h | curl --user=me:*** http://h
curl -u hunter2: http://h | curl -u *** http://h
curl -b session=hunter2 http://h | curl -b *** http://h
curl --cookie a=hunter2 http://h | curl --cookie *** http://h
sudo -E curl -u me:hunter2 http://h | sudo -E curl -u me:*** http://h
http -a me:hunter2 h | http -a me:*** h
https --auth=hunter2 h | https --auth=*** h
docker login -u me -p hunter2 r.io | docker login -u me -p *** r.io
podman login -phunter2 r.io | podman login -p*** r.io
az login -u me -p hunter2 | az login -u me -p ***
helm registry login -p hunter2 h | helm registry login -p *** h
mongo -u me -p hunter2 db | mongo -u me -p *** db
mongodump -phunter2 | mongodump -p***
restic -r /r -p hunter2 backup | restic -r /r -p *** backup
rdesktop -u me -p hunter2 h | rdesktop -u me -p *** h
xfreerdp /u:me /p:hunter2 /v:h | xfreerdp /u:me /p:*** /v:h
7z a -phunter2 x.7z y | 7z a -p*** x.7z y
unrar x -phunter2 a.rar | unrar x -p*** a.rar
zip -P hunter2 x.zip y | zip -P *** x.zip y
zip -rP hunter2 x.zip y | zip -rP *** x.zip y
unzip -Phunter2 x.zip | unzip -P*** x.zip
sqlcmd -S h -U sa -P hunter2 | sqlcmd -S h -U sa -P ***
mosquitto_pub -p 1883 -u me -P hunter2 -t x | mosquitto_pub -p 1883 -u me -P *** -t x
bcp t in f -Usa -Phunter2 | bcp t in f -Usa -P***
ldapsearch -x -D cn=me -w hunter2 | ldapsearch -x -D cn=me -w ***
ldapsearch -xw hunter2 -b dc=x | ldapsearch -xw *** -b dc=x
openssl enc -aes256 -k hunter2 -in f | openssl enc -aes256 -k *** -in f
openssl rsa -passin pass:hunter2 -in f | openssl rsa -passin *** -in f
smbclient //h/s -U me%hunter2 | smbclient //h/s -U me%***
smbclient //h/s --user=me%hunter2 | smbclient //h/s --user=me%***
htpasswd -b /etc/users me hunter2 | htpasswd -b /etc/users *** ***
htpasswd -nbB me hunter2 | htpasswd -nbB me ***
vault login hunter2 | vault login ***
vault login -no-print hunter2 | vault login -no-print ***
aws configure set aws_secret_access_key hunter2 | aws configure set aws_secret_access_key ***
nmcli dev wifi connect home password hunter2 | nmcli dev wifi connect home password ***
nmcli con modify home wifi-sec.psk hunter2 | nmcli con modify home wifi-sec.psk ***
sqlplus me/hunter2@db | sqlplus me/***@db
sqlplus -S me/hunter2@//h:1521/x | sqlplus -S me/***@//h:1521/x
redis-cli config set requirepass hunter2 | redis-cli config set requirepass ***
mysqladmin -u root password hunter2 | mysqladmin -u root password ***
docker exec db mysql -uroot -phunter2 | docker exec db mysql -uroot -p***
plink -pw hunter2 h | plink -pw *** h
redis-server --requirepass hunter2 | redis-server --requirepass ***
redis-server --masterauth hunter2 | redis-server --masterauth ***
app --auth hunter2 --port 80 | app --auth *** --port 80
app --proxy-auth=hunter2 | app --proxy-auth=***
app --jwt hunter2 | app --jwt ***
pkcs11-tool --pin hunter2 | pkcs11-tool --pin ***
pkcs11-tool --so-pin=hunter2 | pkcs11-tool --so-pin=***
app --encryption-key hunter2 | app --encryption-key ***
app --license-key=hunter2 | app --license-key=***
get http://h/x?key=hunter2&page=2 | get http://h/x?key=***&page=2
get http://h/x?a=1&sig=hunter2 | get http://h/x?a=1&sig=***
git clone https://hunter2hunter2@h/x | git clone https://***@h/x
git clone https://hunter2:x-oauth-basic@h/x | git clone https://***@h/x
call sk-hunter2hunter2hunter2 | call ***
call sk_live_hunter2hunter2 | call ***
call SG.hunter2hunter2.hunter2hunter2 | call ***
post https://hooks.slack.com/services/T1/B2/hunter2 | post https://hooks.slack.com/services/***
"""

LINES = [tuple(line.split(" | ")) for line in HIDDEN.strip().splitlines()]


@pytest.mark.parametrize(("line", "shown"), LINES)
def test_hides_what_a_program_takes(line, shown):
    assert SECRET in line
    assert redact_command(line.split(" ")) == shown
    assert redact(line) == shown
    assert redact(shown) == shown
    assert redact_command(["sh", "-c", line]) == f"sh -c {shown}"


HEADERS = [
    ("Authorization: Token hunter2", "Authorization: Token ***"),
    ("Authorization: AWS4-HMAC-SHA256 Credential=a, Signature=hunter2", "Authorization: AWS4-HMAC-SHA256 ***"),
    ("Proxy-Authorization: Basic hunter2", "Proxy-Authorization: Basic ***"),
    ("Cookie: a=hunter2; b=hunter2", "Cookie: ***"),
    ("Set-Cookie: hunter2", "Set-Cookie: ***"),
]


@pytest.mark.parametrize(("header", "shown"), HEADERS)
def test_headers(header, shown):
    assert redact_command(["curl", "-H", header, "http://h/"]) == f"curl -H {shown} http://h/"
    assert SECRET not in redact(f"curl -H '{header}' http://h/")


INNOCENT = """
mysqld -p3306
mysqld --port=3306
mysql -P 3306 -h db
mysql -u root -p shop
docker run -p 8080:80 nginx
docker run --name mongo -p 27017:27017 mongo
docker-proxy -proto tcp -host-port 80
podman run -p8080:80 web
ssh -p 22 host
sshd: me [priv]
scp -P 2222 a b:c
psql -U me -p 5432 shop
mkdir -p /srv/data
redis-server *:6379
app --pin-threads
app --cpu-pin 0-3
app keyboard=us
app author=me
app --author me
Xorg :0 -auth /run/user/1000/x
tail -F /var/log/auth.log
ping -w 5 host
curl -s http://host:8080/a
curl -o out -b
zip -r x.zip y
unzip x.zip -d out
7z x a.7z
http GET h
openssl s_client -connect h:443
openssl req -key f.pem
smbclient //h/s -U me
sqlplus / as sysdba
sqlplus -S /nolog @run.sql
vault server -config=/etc/vault
htpasswd /etc/users me
ldapsearch -x -b dc=x
aws s3 ls s3://bucket/key
aws configure set region eu-west-1
nmcli con show
git clone git@host:me/x
git clone ssh://git@host/x
git clone https://git@host/x
psql postgresql://app@db/shop
rsync -a mapping=1 spin=2
xfreerdp /u:me /v:h
task-runner disk-0 sk-SK.UTF-8
mosquitto_pub -p 1883 -t x
kworker/0:1-events
"""


@pytest.mark.parametrize("line", INNOCENT.strip().splitlines())
def test_keeps_what_is_ordinary(line):
    assert redact_command(line.split(" ")) == line
    assert redact(line) is line


FORMS = [
    "curl -u me:{}", "curl -ume:{}", "curl -sSu me:{}", "curl --user=me:{}", "curl -b {}", "curl -b{}", "docker login -p {}",
    "az login -p{}",
    "mongo -p {}", "restic -p {}", "rdesktop -p {}", "xfreerdp /p:{}", "7z a -p{}", "zip -P {}", "unzip -P{}", "sqlcmd -P {}",
    "mosquitto_pub -P {}", "bcp -P{}", "ldapsearch -w {}", "ldapsearch -xw{}", "openssl enc -k {}", "smbclient -U me%{}", "http -a me:{}",
    "htpasswd -b f me {}", "htpasswd -nb me {}", "vault login {}", "aws configure set aws_secret_access_key {}", "nmcli password {}",
    "sqlplus me/{}@db", "sqlplus me/{}", "app --requirepass {}", "app --auth {}", "app --jwt={}", "app --pin {}", "app --encryption-key={}",
    "mysql -p{}", "sshpass -p {}", "redis-cli -a {}", "x https://h/?key={}", "x https://h/?sig={}",
]  # fmt: skip


@given(st.sampled_from(FORMS), st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=5))
def test_no_form_lets_a_secret_through(form, password):
    secret = "Zx" + password  # never a substring of what surrounds it
    assert secret not in redact_command([part.replace("{}", secret) for part in form.split(" ")])


@given(st.sampled_from(FORMS), st.text("abcXYZ0189_.~+!%^,:@/=-", min_size=5))
def test_no_form_lets_a_secret_through_in_a_script(form, password):
    assert "Zx" + password not in redact(form.replace("{}", "Zx" + password))
    assert "Zx" + password not in redact_command(["sh", "-c", form.replace("{}", "Zx" + password)])
