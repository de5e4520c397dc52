# Ready is a master, and a replica that has caught up with it.
set -eu
[ "$(redis-cli -h "$SELF" -p "${REDIS_PORT:-6379}" ping)" = PONG ]
redis-cli -h "$SELF" -p "${REDIS_PORT:-6379}" info replication | tr -d '\r' | grep -Eq '^(role:master|master_link_status:up)$'
