# Starts the Sentinel of this pod. What it has learned lies on the volume; without that, others or the first Redis say
# who the master is. Arguments go to redis-server.
set -eu
DATA=${DATA:-/data}
. "$SCRIPTS/master.sh"
umask 077
config=$DATA/sentinel/sentinel.conf

if [ ! -e "$config" ]; then
  while :; do
    ask_for_master 1
    if [ -z "$MASTER" ] && is_first; then
      role=$(timeout 3 redis-cli -h "$SELF" -p "${REDIS_PORT:-6379}" role 2>/dev/null | head -n 1) || role=
      if [ "$role" = master ]; then MASTER=$SELF; fi
    fi
    if [ -n "$MASTER" ]; then break; fi
    sleep 1
  done
  mkdir -p "$DATA/sentinel"
  cat > "$config.new" <<END
dir $DATA/sentinel
sentinel resolve-hostnames yes
sentinel announce-hostnames yes
sentinel announce-ip $SELF
sentinel monitor blindfit $MASTER ${REDIS_PORT:-6379} 2
sentinel down-after-milliseconds blindfit ${DOWN_AFTER_MS:-5000}
sentinel failover-timeout blindfit ${FAILOVER_TIMEOUT_MS:-60000}
sentinel parallel-syncs blindfit 1
END
  mv "$config.new" "$config"
fi

# The password may be another than at the last start.
grep -Ev '^(user default|requirepass|sentinel (auth-pass|sentinel-pass)) ' "$config" > "$config.new"
{
  echo "requirepass $REDIS_PASSWORD"
  echo "sentinel sentinel-pass $REDIS_PASSWORD"
  echo "sentinel auth-pass blindfit $REDIS_PASSWORD"
} >> "$config.new"
mv "$config.new" "$config"
exec redis-server "$config" --sentinel --port "${SENTINEL_PORT:-26379}" "$@"
