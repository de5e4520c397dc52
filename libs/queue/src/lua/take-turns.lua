--[[
  Gives entries of a queue their priorities: tenants share the queue by their weights, and the jobs of a tenant share its
  part by theirs. Start-time fair queueing (Goyal, Vin, Cheng, SIGCOMM 1996) on two levels. A priority is the virtual time
  at which the entry would be begun; virtual time is that of the entry begun last, just before the first that waits. A
  tenant that begins to wait is served next, and is not asked for what was served before. The entries of a tenant that
  wait exchange their priorities, so that its jobs take turns as well.
  KEYS: 1 record, 2 clock, 3 tenants, 4 prioritized entries of the queue
  ARGV: 1 prefix of the entries of the queue, 2 prefix of the waiting entries of tenants, then the ids of the entries
  Returns their priorities.
]]
local UNIT, REBASE, MAX, SCALE = 8, 2 ^ 20, 2 ^ 21 - 1, 2 ^ 32
local record = redis.call('HMGET', KEYS[1], 'tenant', 'weight')
local tenant, weight = record[1] or DEFAULT_TENANT, tonumber(record[2] or 1)
local settings = redis.call('HGET', KEYS[3], tenant)
local share = settings and cjson.decode(settings).weight or 1

local function priority_of(id)
  local score = redis.call('ZSCORE', KEYS[4], id)
  return score and math.floor(tonumber(score) / SCALE)
end
local function set_priority(id, priority)
  local score = redis.call('ZSCORE', KEYS[4], id)
  if score then redis.call('ZADD', KEYS[4], priority * SCALE + tonumber(score) % SCALE, id) end
  redis.call('HSET', ARGV[1] .. id, 'priority', priority)
end

local clock = redis.call('HMGET', KEYS[2], 'now', 'last')
local now, last = tonumber(clock[1] or 0), tonumber(clock[2] or 0)
local head = redis.call('ZRANGE', KEYS[4], 0, 0)[1]
now = math.max(now, head and priority_of(head) - 1 or last)

-- Priorities end at 2^21: once in about 100,000 entries virtual time begins again.
if now > REBASE then
  local queue = string.sub(ARGV[1], 1, -2)
  local ids = redis.call('LRANGE', queue .. ':active', 0, -1)
  for _, set in ipairs({ ':prioritized', ':delayed', ':waiting-children' }) do
    for _, id in ipairs(redis.call('ZRANGE', queue .. set, 0, -1)) do ids[#ids + 1] = id end
  end
  for _, id in ipairs(ids) do
    local priority = tonumber(redis.call('HGET', ARGV[1] .. id, 'priority') or 0)
    if priority > 0 then set_priority(id, math.max(1, priority - now)) end
  end
  local fields = redis.call('HGETALL', KEYS[2])
  for i = 1, #fields, 2 do
    if not string.match(fields[i], '^jobs:') then
      redis.call('HSET', KEYS[2], fields[i], math.max(0, tonumber(fields[i + 1]) - now))
    end
  end
  last, now = math.max(0, last - now), 0
end

-- What the tenant has waiting: its jobs share the virtual times of all of it, the new ones included.
local waiting = ARGV[2] .. tenant
local entries, slots = {}, {}
local clock_of_tenant = 'jobs:' .. tenant
local inner, own = tonumber(redis.call('HGET', KEYS[2], clock_of_tenant) or 0), 0
local listed = redis.call('ZRANGE', waiting, 0, -1, 'WITHSCORES')
for i = 1, #listed, 2 do
  local id, turn = listed[i], tonumber(listed[i + 1])
  local priority = priority_of(id)
  if priority then
    entries[#entries + 1] = { id = id, turn = turn, priority = priority }
    slots[#slots + 1] = priority
    if string.match(id, '^[^.]+') == string.match(ARGV[3], '^[^.]+') then own = turn end
  else
    redis.call('ZREM', waiting, id)
    inner = math.max(inner, turn)
  end
end
-- Priority 1 is for what comes before all others.
local from = math.max(2, now, tonumber(redis.call('HGET', KEYS[2], 'tenant:' .. tenant) or 0))
local turn = math.max(own, inner)
local new = {}
for i = 3, #ARGV do
  turn = turn + UNIT / weight
  local start = from
  from = from + UNIT / share
  local entry = { id = ARGV[i], turn = turn }
  entries[#entries + 1], new[#new + 1] = entry, entry
  slots[#slots + 1] = math.min(MAX, math.floor(start))
  redis.call('ZADD', waiting, turn, ARGV[i])
end
redis.call('HSET', KEYS[2], 'now', now, 'last', math.max(last, from), 'tenant:' .. tenant, from, clock_of_tenant, inner)

for i, entry in ipairs(entries) do entry.order = i end
table.sort(entries, function(a, b)
  if a.turn ~= b.turn then return a.turn < b.turn end
  return a.order < b.order
end)
table.sort(slots)
for i, entry in ipairs(entries) do
  if entry.priority and entry.priority ~= slots[i] then set_priority(entry.id, slots[i]) end
  entry.priority = slots[i]
end
local priorities = {}
for i, entry in ipairs(new) do priorities[i] = entry.priority end
return priorities
