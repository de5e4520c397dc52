--[[
  Moves a job to another state. A final state never changes again, and only a queued job starts to run.
  KEYS: 1 record, 2 states, 3 awaiting, 4 progress
  ARGV: 1 state, 2 id, 3 time, 4 how many jobs of the tenant may run ('' any number), then field and value of what is
        recorded with the state
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
for i = 5, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
if ARGV[1] == 'running' then
  place(KEYS[2], KEYS[1], SCORE['running'] + (redis.call('HGET', KEYS[1], 'createdAt') or 0), ARGV[2])
  redis.call('ZADD', KEYS[4], ARGV[3], ARGV[2])
else
  place(KEYS[2], KEYS[1], SCORE[ARGV[1]] + ARGV[3], ARGV[2])
  redis.call('ZREM', KEYS[3], ARGV[2])
  redis.call('ZREM', KEYS[4], ARGV[2])
end
return 1
