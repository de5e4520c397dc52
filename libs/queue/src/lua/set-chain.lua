--[[
  Replaces the record of a chain if it still is what the caller has read, and lets the job's state follow: the job
  awaits its owner when no chain can go on without. `since:<chain>` exists while the chain waits.
  KEYS: 1 record, 2 states, 3 awaiting, 4 progress
  ARGV: 1 chain, 2 record that was read ('' for none), 3 new record, 4 time, 5 number of chains, 6 id
  Returns 1, or 0 when nothing changed.
]]
local state = redis.call('HGET', KEYS[1], 'state')
if state ~= 'running' and state ~= 'awaiting-refresh' then return 0 end
local field = 'chain:' .. ARGV[1]
if (redis.call('HGET', KEYS[1], field) or '') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], field, ARGV[3])
local next = cjson.decode(ARGV[3]).phase
local since = redis.call('HGET', KEYS[1], 'since:' .. ARGV[1])
if next == 'awaiting' then
  redis.call('HSET', KEYS[1], 'since:' .. ARGV[1], ARGV[4])
elseif since then
  redis.call('HDEL', KEYS[1], 'since:' .. ARGV[1])
  redis.call('HINCRBY', KEYS[1], 'refreshes', 1)
  redis.call('HINCRBYFLOAT', KEYS[1], 'refreshWait', (tonumber(ARGV[4]) - tonumber(since)) / 1000)
end
local running, awaiting, oldest = 0, 0, nil
for i = 0, tonumber(ARGV[5]) - 1 do
  local raw = redis.call('HGET', KEYS[1], 'chain:' .. i)
  local phase = raw and cjson.decode(raw).phase or 'running'
  if phase == 'running' then running = running + 1 elseif phase == 'awaiting' then awaiting = awaiting + 1 end
  local waits = tonumber(redis.call('HGET', KEYS[1], 'since:' .. i))
  if waits and (not oldest or waits < oldest) then oldest = waits end
end
if oldest then redis.call('ZADD', KEYS[3], oldest, ARGV[6]) else redis.call('ZREM', KEYS[3], ARGV[6]) end
local created = redis.call('HGET', KEYS[1], 'createdAt') or 0
if state == 'running' and running == 0 and awaiting > 0 then
  redis.call('HSET', KEYS[1], 'state', 'awaiting-refresh', 'awaitingSince', ARGV[4])
  place(KEYS[2], KEYS[1], SCORE['awaiting-refresh'] + created, ARGV[6])
  redis.call('ZREM', KEYS[4], ARGV[6])
elseif state == 'awaiting-refresh' and running > 0 then
  local from = tonumber(redis.call('HGET', KEYS[1], 'awaitingSince'))
  redis.call('HSET', KEYS[1], 'state', 'running')
  redis.call('HINCRBYFLOAT', KEYS[1], 'refreshSeconds', (tonumber(ARGV[4]) - from) / 1000)
  place(KEYS[2], KEYS[1], SCORE['running'] + created, ARGV[6])
  redis.call('ZADD', KEYS[4], ARGV[4], ARGV[6])
end
return 1
