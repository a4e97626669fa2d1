#!/bin/sh
# Makes the secrets of compose.yaml, once: what is there is never replaced, because without its master key a database is worthless.
# Back up secrets/master.key, apart from the database.
set -eu
umask 077
cd "$(dirname "$0")"
mkdir -p secrets

random() { openssl rand -hex 32; }

# The directory is closed. PostgreSQL and Redis read their files under users of
# their own, so those are open; svcauth's are for the user that it runs as alone.
make() {
	[ -s "secrets/$1" ] && return 0
	cat >"secrets/$1.new"
	chmod 0444 "secrets/$1.new"
	mv "secrets/$1.new" "secrets/$1"
}
setting() { grep -q "^$1=" ../.env 2>/dev/null || printf '%s=%s\n' "$1" "$2" >>../.env; }

openssl rand 32 | make master.key
random | make postgres-password
printf '*:*:*:*:%s\n' "$(cat secrets/postgres-password)" | make pgpass
password=$(random)
printf 'requirepass %s\nprotected-mode yes\nsave ""\nappendonly no\nmaxmemory 256mb\nmaxmemory-policy volatile-ttl\n' "$password" | make redis.conf
setting REDIS_PASSWORD "$(sed -n 's/^requirepass //p' secrets/redis.conf)"

# A file is mounted as it is, with owner and mode, so svcauth runs as whoever owns
# it. With a rootless Docker that is RUN_AS=0:0: you are root in its containers.
chmod 0400 secrets/master.key secrets/pgpass
if [ "$(id -u)" = 0 ]; then
	chown 65532:65532 secrets/master.key secrets/pgpass
	setting RUN_AS 65532:65532
else
	setting RUN_AS "$(id -u):$(id -g)"
fi
printf 'secrets are in %s/secrets and in .env beside compose.yaml\n' "$PWD"
