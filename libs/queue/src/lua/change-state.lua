--[[
  Moves a job to another state. A final state never changes again, and only a queued job starts to run.
  A job that has succeeded or was cancelled never goes on: what its tasks took in all stays, their marks and the times of
  iterations (which the result has) go. The marks of a failed job stay for the case that it is resumed.
  KEYS: 1 record, 2 states, 3 awaiting, 4 progress, 5 tasks
  ARGV: 1 state, 2 id, 3 time, 4 how many jobs of the tenant may run ('' any number), then field and value of what is
        recorded with the state, or '' for a field that goes
  Returns 1; 0 when nothing changed; 2 when the job is to run and enough of its tenant do.
]]
local state = redis.call('HGET', KEYS[1], 'state')
if not state or FINAL[state] then return 0 end
if ARGV[1] == 'running' and state ~= 'queued' then return 0 end
if ARGV[4] ~= '' then
  local running = KEYS[2] .. ':' .. (redis.call('HGET', KEYS[1], 'tenant') or DEFAULT_TENANT)
  local from = SCORE['running']
  if redis.call('ZCOUNT', running, from, '(' .. (from + SPAN)) >= tonumber(ARGV[4]) then return 2 end
end
redis.call('HSET', KEYS[1], 'state', ARGV[1])
for i = 5, #ARGV, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', KEYS[1], ARGV[i]) else redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
end
if ARGV[1] == 'running' then
  place(KEYS[2], KEYS[1], SCORE['running'] + (redis.call('HGET', KEYS[1], 'createdAt') or 0), ARGV[2])
  redis.call('ZADD', KEYS[4], ARGV[3], ARGV[2])
else
  place(KEYS[2], KEYS[1], SCORE[ARGV[1]] + ARGV[3], ARGV[2])
  redis.call('ZREM', KEYS[3], ARGV[2])
  redis.call('ZREM', KEYS[4], ARGV[2])
end
if ARGV[1] == 'succeeded' or ARGV[1] == 'cancelled' then
  local all, totals = redis.call('HGETALL', KEYS[5]), {}
  for i = 1, #all, 2 do
    if not string.find(all[i], '^t:') and not string.find(all[i], '^start:') and not string.find(all[i], '^end:') then
      totals[#totals + 1] = all[i]
      totals[#totals + 1] = all[i + 1]
    end
  end
  -- Written anew, it is small in memory, too: a hash that was large stays so.
  redis.call('UNLINK', KEYS[5])
  if #totals > 0 then redis.call('HSET', KEYS[5], unpack(totals)) end
end
return 1
