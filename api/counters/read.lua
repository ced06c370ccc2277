-- All that one answer needs, read in one atomic step from one lane. Writes nothing.
--
-- The keys (all in the hash slot of the lane; the others are named from the lane's own key):
--   KEYS[1]               hash    the lane: `generation`; for each known partition `f<partition>` its checkpoint and
--                                 `c<partition>` complete-through (ms), once it has one; `retired` for whom it
--                                 was closed to counting, `successor` once the switch to that one was done
--   KEYS[1]:d:TENANT      set     the days since 1970 that have counters
--   KEYS[1]:c:TENANT:DAY  hash    scope -> packed counter of counts
--   KEYS[1]:s:TENANT      set     the known sequences
--   KEYS[1]:t:TENANT      set     the known templates
--
-- ARGV: 1 the generation that the caller holds to be live, 2 TENANT (made safe), 3 the scope's field in
--       the counters, 4 `s` or `t` for the set that must know the id, or nothing, 5 the raw id,
--       6 and 7 the first and the last day asked for, 8 the first letter of the fields of groups that are
--       wanted too, or nothing, 9 the most fields that may be looked through for them.
-- Returns nil where the lane is gone or of another generation: its numbers must not be used. A closed lane may
--       be right: until the switch to its successor its numbers are. The caller checks that, by the record.
--       Else { `retired` or nil, whether there is a successor (0 or 1), known (0 or 1), { field of a partition, value, ... }, { day, packed counter, ... },
--              { day, { scope, packed counter, ... }, ... } or nil where the groups are too many }.

local lane = KEYS[1]
local generation, tenant, scope, kind, id = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local first, last = tonumber(ARGV[6]), tonumber(ARGV[7])
local group, most = ARGV[8], tonumber(ARGV[9])

local head = redis.call('HMGET', lane, 'generation', 'retired', 'successor')
if head[1] ~= generation then return false end

local known = 1
if kind ~= '' then
  known = redis.call('SISMEMBER', lane .. ':' .. kind .. ':' .. tenant, id)
end

local partitions = {}
local fields = redis.call('HGETALL', lane)
for at = 1, #fields, 2 do
  if string.find(fields[at], '^[cf]%d+$') then
    partitions[#partitions + 1] = fields[at]
    partitions[#partitions + 1] = fields[at + 1]
  end
end

-- A range of centuries costs no more than the data: of a long one the days that exist are looked through.
local days = {}
if last - first < redis.call('SCARD', lane .. ':d:' .. tenant) then
  for day = first, last do days[#days + 1] = day end
else
  for _, day in ipairs(redis.call('SMEMBERS', lane .. ':d:' .. tenant)) do
    local number = tonumber(day)
    if first <= number and number <= last then days[#days + 1] = number end
  end
end

local counters = lane .. ':c:' .. tenant .. ':'
local packed_counters = {}
for _, day in ipairs(days) do
  local packed_counter = redis.call('HGET', counters .. day, scope)
  if packed_counter then
    packed_counters[#packed_counters + 1] = day
    packed_counters[#packed_counters + 1] = packed_counter
  end
end

local groups = {}
if group ~= '' then
  local size = 0
  for _, day in ipairs(days) do
    size = size + redis.call('HLEN', counters .. day)
  end
  if size > most then
    groups = false
  else
    for _, day in ipairs(days) do
      local found = {}
      local scopes = redis.call('HGETALL', counters .. day)
      for at = 1, #scopes, 2 do
        if string.sub(scopes[at], 1, 1) == group then
          found[#found + 1] = scopes[at]
          found[#found + 1] = scopes[at + 1]
        end
      end
      groups[#groups + 1] = day
      groups[#groups + 1] = found
    end
  end
end

return { head[2], head[3] and 1 or 0, known, partitions, packed_counters, groups }
