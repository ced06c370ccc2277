--[[
snapshot: what a lane holds of some tenants, with the checkpoints that say which events that is. Writes nothing.

Keys (LANE is KEYS[1], `{generation:lane}`)
  LANE                    hash  generation; f<partition>: the checkpoints; c<partition>: complete-through
  LANE:n                  set   tenants that have counters
  LANE:d:TENANT           set   days that have counters
  LANE:c:TENANT:DAY       hash  scope -> packed counter
  LANE:s:TENANT           set   known sequences
  LANE:t:TENANT           set   known templates

Arguments
  ARGV[1] generation
  ARGV[2] about how many packed counters to read at most, or nothing: all. Redis serves nobody else meanwhile.
  ARGV[3] the first DAY to read of the first tenant, or nothing
  ARGV[4] the last DAY to read of the last tenant, or nothing
  ARGV[5...] each TENANT, in the order to read; none: then the tenants are listed instead
Answers: nil where the lane is not there or another generation's, else
  {checkpoints, tenants} or {checkpoints, {{{{DAY, {scope, packed counter, ...}}, ...}, sequences, templates}, ...}, stopped}
  with checkpoints = {f<partition> or c<partition>, number, ...}
  and stopped = the day of the last tenant given at which to go on, or false where all was read
  The known ids come with a tenant's last day, which `stopped` and ARGV[4] leave out.
]]
local call, huge = redis.call, math.huge
local lane = KEYS[1]
local left, first, last = tonumber(ARGV[2]) or huge, tonumber(ARGV[3]) or -huge, tonumber(ARGV[4]) or huge
local fields = call('HGETALL', lane)
local checkpoints, generation = {}, nil
for i = 1, #fields, 2 do
  if fields[i] == 'generation' then generation = fields[i + 1] end
  if string.find(fields[i], '^[fc]%d+$') then
    checkpoints[#checkpoints + 1] = fields[i]
    checkpoints[#checkpoints + 1] = fields[i + 1]
  end
end
if generation ~= ARGV[1] then return false end
if #ARGV == 4 then return {checkpoints, call('SMEMBERS', lane .. ':n')} end

local held = {}
for i = 5, #ARGV do
  local tenant = ARGV[i]
  local from, upto = i == 5 and first or -huge, i == #ARGV and last or huge
  local days, found = {}, {}
  for _, member in ipairs(call('SMEMBERS', lane .. ':d:' .. tenant)) do
    local day = tonumber(member)
    if from <= day and day <= upto then days[#days + 1] = day end
  end
  table.sort(days)
  for n, day in ipairs(days) do
    if left <= 0 then
      held[#held + 1] = {found, {}, {}}
      return {checkpoints, held, day}
    end
    local packed_counters = call('HGETALL', string.format('%s:c:%s:%d', lane, tenant, day))
    found[n] = {day, packed_counters}
    left = left - #packed_counters / 2
  end
  local sequences, templates = {}, {}
  if upto == huge then
    sequences, templates = call('SMEMBERS', lane .. ':s:' .. tenant), call('SMEMBERS', lane .. ':t:' .. tenant)
  end
  held[#held + 1] = {found, sequences, templates}
  left = left - 1
end
return {checkpoints, held, false}
