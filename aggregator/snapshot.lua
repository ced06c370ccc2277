--[[
snapshot: what a lane holds of one tenant, with the fences that say which events that is. Writes nothing.

Keys (LANE is KEYS[1], `{generation:lane}`)
  LANE                    hash  generation; f<partition>: the fences; c<partition>: complete-through
  LANE:n                  set   tenants that have counters
  LANE:d:TENANT           set   days that have counters
  LANE:c:TENANT:DAY       hash  scope -> bag
  LANE:s:TENANT           set   known sequences
  LANE:t:TENANT           set   known templates

Arguments: ARGV[1] generation; ARGV[2] TENANT, or nothing: then the tenants are listed instead; ARGV[3] a DAY,
  or nothing: then all days.
Answers: nil where the lane is not there or another generation's, else
  {fences, tenants} or {fences, {{DAY, {scope, bag, ...}}, ...}, sequences, templates}
  with fences = {f<partition> or c<partition>, number, ...}; the known ids only where all days are asked for
]]
local call = redis.call
local lane, tenant, only = KEYS[1], ARGV[2], ARGV[3]
local fields = call('HGETALL', lane)
local fences, generation = {}, nil
for i = 1, #fields, 2 do
  if fields[i] == 'generation' then generation = fields[i + 1] end
  if string.find(fields[i], '^[fc]%d+$') then
    fences[#fences + 1] = fields[i]
    fences[#fences + 1] = fields[i + 1]
  end
end
if generation ~= ARGV[1] then return false end
if tenant == '' then return {fences, call('SMEMBERS', lane .. ':n')} end
local function bags(day) return {day, call('HGETALL', lane .. ':c:' .. tenant .. ':' .. day)} end
if only ~= '' then return {fences, {bags(only)}, {}, {}} end
local days = {}
for _, day in ipairs(call('SMEMBERS', lane .. ':d:' .. tenant)) do days[#days + 1] = bags(day) end
return {fences, days, call('SMEMBERS', lane .. ':s:' .. tenant), call('SMEMBERS', lane .. ':t:' .. tenant)}
