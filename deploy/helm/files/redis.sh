# Starts the Redis of this pod in the role that the Sentinels give it. Arguments go to redis-server.
set -eu
DATA=${DATA:-/data}
. "$SCRIPTS/master.sh"
umask 077

waited=0
ask_for_master 2
while [ -z "$MASTER" ]; do
  # Others that have run before are given time to say so.
  if is_first && [ "$waited" -ge "${FIRST_START_SECONDS:-20}" ]; then
    MASTER=$SELF
    break
  fi
  sleep 1
  waited=$((waited + 1))
  ask_for_master 2
done

# Sentinels have Redis write its new role down after a failover; the next start asks again.
cp "$SCRIPTS/redis.conf" "$DATA/redis.conf"
{
  echo "requirepass $REDIS_PASSWORD"
  echo "masterauth $REDIS_PASSWORD"
  echo "replica-announce-ip $SELF"
  if [ "$MASTER" != "$SELF" ]; then echo "replicaof $MASTER ${REDIS_PORT:-6379}"; fi
} >> "$DATA/redis.conf"
exec redis-server "$DATA/redis.conf" "$@"
