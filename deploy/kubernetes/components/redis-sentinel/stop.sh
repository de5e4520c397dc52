# Before the end of this pod: a master takes no more writes, gives replicas time to get what it has, and hands over its
# role. Clients whose writes wait here send them to the new master when this one ends.
port=${REDIS_PORT:-6379}
# The Sentinel of this pod may have ended already.
sentinel() {
  for peer in $PEERS; do
    if [ "$peer" = "$SELF" ]; then continue; fi
    if timeout 3 redis-cli -h "$peer" -p "${SENTINEL_PORT:-26379}" sentinel "$@" 2>/dev/null; then return; fi
  done
}
if [ "$(redis-cli -h "$SELF" -p "$port" role | head -n 1)" = master ]; then
  redis-cli -h "$SELF" -p "$port" client pause 30000 write
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do
    sleep 1
    if [ "$(sentinel get-master-addr-by-name blindfit | head -n 1)" != "$SELF" ]; then exit 0; fi
    sentinel failover blindfit
  done
  redis-cli -h "$SELF" -p "$port" client unpause
fi
