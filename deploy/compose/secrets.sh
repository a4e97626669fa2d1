#!/bin/sh
# Makes the secrets of compose.yaml, once: what is there is never replaced, because without its master key a database is worthless.
# Back up secrets/master.key, apart from the database.
set -eu
umask 077
cd "$(dirname "$0")"
mkdir -p secrets

random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

# Containers read the files under users of their own, so the files are open; the directory is not.
make() {
	[ -s "secrets/$1" ] && return 0
	cat >"secrets/$1.new"
	chmod 0444 "secrets/$1.new"
	mv "secrets/$1.new" "secrets/$1"
}

head -c 32 /dev/urandom | make master.key
random | make postgres-password
printf '*:*:*:*:%s\n' "$(cat secrets/postgres-password)" | make pgpass
password=$(random)
printf 'requirepass %s\nprotected-mode yes\nsave ""\nappendonly no\nmaxmemory 256mb\nmaxmemory-policy volatile-ttl\n' "$password" | make redis.conf
if ! grep -q '^REDIS_PASSWORD=' ../.env 2>/dev/null; then
	printf 'REDIS_PASSWORD=%s\n' "$(sed -n 's/^requirepass //p' secrets/redis.conf)" >>../.env
fi
printf 'secrets are in %s/secrets and in .env beside compose.yaml\n' "$PWD"
