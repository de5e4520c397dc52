# Sets MASTER to the host that the Sentinels call the master, by the newest of their answers; it is empty while fewer
# than $1 of them know. One alone may have slept through a failover.
ask_for_master() {
  MASTER=
  answers=0
  newest=-1
  for peer in $PEERS; do
    answer=$(timeout 3 redis-cli -h "$peer" -p "${SENTINEL_PORT:-26379}" sentinel master blindfit 2>/dev/null) || continue
    # Lines of names and values in turns.
    epoch=$(printf '%s\n' "$answer" | awk 'name == "config-epoch" && NR % 2 == 0 { print } { name = $0 }')
    host=$(printf '%s\n' "$answer" | awk 'name == "ip" && NR % 2 == 0 { print } { name = $0 }')
    if [ -z "$host" ]; then continue; fi
    answers=$((answers + 1))
    if [ "${epoch:-0}" -gt "$newest" ]; then
      newest=${epoch:-0}
      MASTER=$host
    fi
  done
  if [ "$answers" -lt "$1" ]; then MASTER=; fi
}

# Whether this pod becomes the master, since it is the first of a group that has never run.
is_first() {
  [ "$SELF" = "${PEERS%% *}" ] && [ "$answers" = 0 ] && [ ! -e "$DATA/sentinel/sentinel.conf" ]
}
