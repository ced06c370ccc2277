--[[
read: all that one answer needs, or a piece of it, read in one atomic step from one lane. Writes nothing.

Keys (LANE is KEYS[1], `{generation:lane}`; `schemas.redis_keys` says what stands in each)
  LANE                 hash  generation; for each known partition f<partition> its checkpoint and c<partition>
                             complete-through (ms), once it has one; retired: for whom the lane was closed to
                             counting; successor: once the switch to that one was done
  LANE:i:TENANT        zset  known ids and blocks with counters, in the order of bytes
  LANE:c:TENANT:BLOCK  hash  day and family, scope, id -> packed counter (`schemas.packed_counter`), or IS_WIDE
  LANE:w:TENANT:BLOCK  hash  day and family, scope, id -> packed counter of many bytes

Arguments
  ARGV[1] the generation that the caller holds to be live, ARGV[2] TENANT (made safe)
  ARGV[3] SCOPE id, whose counters are wanted, or nothing
  ARGV[4] the days: of one range after the other the first day and the last; no block is in two of them
  ARGV[5] the places of the families of kinds that are wanted, a byte each
  ARGV[6] 1 where quarters of an hour are wanted, or nothing
  ARGV[7] SCOPE whose ids are wanted too, each with its counters, or nothing
  ARGV[8] their days, among the others: one range, or nothing
  ARGV[9] the most counters that may be read for them
  ARGV[10] the most fields that may be looked at in this call, or nothing: all. A block counts for BLOCK_DAYS of each
           family, and where its ids are wanted for all that it has
  ARGV[11] where in a block, the only one then, the ids go on: a cursor; or nothing: all are read. Of those ids no more
           than ARGV[10] are looked at, about
Answers: 0 where there is more to look at than that, or no such block: nothing was read. nil where the lane is gone or
  of another generation: its numbers must not be used. A closed lane may be right: until the switch to its successor
  its numbers are. The caller checks that, by the record. Else
  {retired or nil, whether there is a successor (0 or 1), whether the id is known (0 or 1),
   {f<partition> or c<partition>, number, ...}, {{day, packed counter, ...} of each family, in the order asked},
   {BLOCK, {{field, ...}, {packed counter, ...}}, ...} or nil where those are too many,
   where the ids of that block go on, '0' where it was the end; nothing where ARGV[11] is}

All keys are looked at together, as in `aggregator/counters/apply.lua`: while a cluster moves the slot key by
key, the node that they go to takes one that has not come yet for one that there never was.
]]
local call, floor = redis.call, math.floor
local byte, char, sub = string.byte, string.char, string.sub
local BLOCK_DAYS, FIRST_BLOCK, IS_WIDE = 4, -2147483648, char(254)
local PACKED, HEAD = 255, 5   -- see `schemas.packed_counter`
local SLICE = 3000            -- arguments of one command: Lua's stack takes fewer than 8000
local LOOKED_THROUGH = 8      -- times as many fields as may be read: blocks hold other days, scopes and families

local lane, tenant, scope = KEYS[1], ARGV[2], ARGV[3]
local families = {byte(ARGV[5], 1, -1)}
local by_quarter, group, most = ARGV[6] ~= '', ARGV[7], tonumber(ARGV[9])
local at_once, cursor = tonumber(ARGV[10]) or math.huge, ARGV[11] ~= '' and ARGV[11]

local head = call('HMGET', lane, 'generation', 'retired', 'successor')
if head[1] ~= ARGV[1] then return false end

local partitions = {}
local fields = call('HGETALL', lane)
for at = 1, #fields, 2 do
  if string.find(fields[at], '^[cf]%d+$') then
    partitions[#partitions + 1] = fields[at]
    partitions[#partitions + 1] = fields[at + 1]
  end
end

-- Look at keys together: see above.
local function touch(keys)
  for from = 1, #keys, SLICE do
    call('EXISTS', lane, unpack(keys, from, math.min(from + SLICE - 1, #keys)))
  end
end

local known = lane .. ':i:' .. tenant
touch({known})
local is_known = scope == '\0' or call('ZSCORE', known, scope)

-- The blocks that there are, and one more than may be looked at at most: a range of centuries costs no more than
-- the data.
local most_blocks = at_once < math.huge and floor(at_once / (BLOCK_DAYS * #families)) + 1 or -1
local function member(block)
  local n = block - FIRST_BLOCK
  return char(0, floor(n / 16777216), floor(n / 65536) % 256, floor(n / 256) % 256, n % 256)
end
local function ranges(text)
  local numbers = {}
  for number in string.gmatch(text, '%S+') do numbers[#numbers + 1] = tonumber(number) end
  return numbers
end
local blocks, keys, firsts, lasts = {}, {}, {}, {}
local wanted_days = ranges(ARGV[4])
for i = 1, #wanted_days, 2 do
  local first, last = wanted_days[i], wanted_days[i + 1]
  local from, upto = floor(first / BLOCK_DAYS), floor(last / BLOCK_DAYS)
  local found = call('ZRANGEBYLEX', known, '[' .. member(from), '[' .. member(upto), 'LIMIT', 0, most_blocks)
  for _, each in ipairs(found) do
    local at, a, b, c, d = #blocks + 1, byte(each, 2, 5)
    blocks[at] = ((a * 256 + b) * 256 + c) * 256 + d + FIRST_BLOCK
    keys[at] = string.format('%s:c:%s:%d', lane, tenant, blocks[at])
    firsts[at], lasts[at] = first, last
  end
end
local fields_of_blocks = #blocks * BLOCK_DAYS * #families
if fields_of_blocks > at_once or cursor and #blocks ~= 1 then return 0 end
touch(keys)

-- How many fields the blocks have whose ids are wanted.
local sizes, size = {}, 0
if group ~= '' and ARGV[8] ~= '' then
  local first, last = unpack(ranges(ARGV[8]))
  local from, upto = floor(first / BLOCK_DAYS), floor(last / BLOCK_DAYS)
  for at, block in ipairs(blocks) do
    sizes[at] = block >= from and block <= upto and call('HLEN', keys[at]) or 0
    size = size + sizes[at]
  end
  if not cursor and fields_of_blocks + size > at_once then return 0 end
end

-- The first bytes of the fields of those days of a block that are asked for, family by family, each before a
-- text; the first such day, and how many they are. Most blocks are asked for as a whole, and those have the same.
local made = {}
local function days(block, first, last, text)
  local midnight = block * BLOCK_DAYS
  local from, upto = math.max(first - midnight, 0), math.min(last - midnight, BLOCK_DAYS - 1)
  local of = from * BLOCK_DAYS + upto
  if not made[of] then
    local names = {}
    for _, family in ipairs(families) do
      for day = from, upto do names[#names + 1] = char(day + BLOCK_DAYS * family) .. text end
    end
    made[of] = names
  end
  return made[of], midnight + from, upto - from + 1
end

-- A packed counter without its quarters, where they are not wanted.
local function wanted(packed_counter)
  if by_quarter then return packed_counter end
  local head, a, b, c, d = byte(packed_counter, 1, HEAD)
  if head ~= PACKED or not d then return packed_counter end
  local middle, quarters = HEAD + a + 256 * b, c + 256 * d
  if quarters == 0 or #packed_counter < middle + quarters then return packed_counter end
  return char(PACKED, a, b, 0, 0) .. sub(packed_counter, HEAD + 1, middle) .. sub(packed_counter, middle + quarters + 1)
end

local function wide_key(block) return string.format('%s:w:%s:%d', lane, tenant, block) end

-- What stands in fields of blocks, as far as it is wanted. of_blocks: for each block its fields, and of each what
-- the first hash holds or false, which is replaced. One that is missing among the wide is nothing: damaged.
local function complete(of_blocks)
  local wide_keys, of_keys = {}, {}
  for at, block in ipairs(blocks) do
    local names, held = unpack(of_blocks[at])
    local wide = {}
    for i = 1, #names do
      if held[i] == IS_WIDE then
        wide[#wide + 1] = i
      elseif held[i] then
        held[i] = wanted(held[i])
      end
    end
    if #wide > 0 then
      wide_keys[#wide_keys + 1] = wide_key(block)
      of_keys[#wide_keys] = {names, held, wide}
    end
  end
  touch(wide_keys)
  for at, key in ipairs(wide_keys) do
    local names, held, wide = unpack(of_keys[at])
    for from = 1, #wide, SLICE do
      local asked = {}
      for i = from, math.min(from + SLICE - 1, #wide) do asked[#asked + 1] = names[wide[i]] end
      local found = call('HMGET', key, unpack(asked))
      for i = 1, #asked do held[wide[from + i - 1]] = wanted(found[i] or '') end
    end
  end
end

-- What the two hashes of a block hold in fields. After a block whose counters were all wide those of the next one
-- are looked for among the wide first: mostly they are there, and the other hash need not be read. It says IS_WIDE for
-- each that is there, always. There may be no wide ones at all, and no key: what a slot that moves says to that is no
-- answer, as is nothing; then the first hash says what must be there.
local were_wide = false
local function stored(at, names)
  local found
  if were_wide then
    found = redis.pcall('HMGET', wide_key(blocks[at]), unpack(names))
    local is_all = true
    for i = 1, #names do is_all = is_all and found[i] end
    if is_all then return found end
  end
  local held = call('HMGET', keys[at], unpack(names))
  were_wide = held[1] == IS_WIDE
  for i = 2, were_wide and #names or 0 do were_wide = were_wide and held[i] == IS_WIDE end
  for i = 1, found and #names or 0 do held[i] = found[i] or held[i] end
  return held
end

local of_blocks, by_family = {}, {}
for at, block in ipairs(blocks) do
  local names, day, number = days(block, firsts[at], lasts[at], scope)
  of_blocks[at] = {names, stored(at, names), day, number}
end
complete(of_blocks)
for place = 1, #families do
  local packed_counters = {}
  for at = 1, #blocks do
    local _, held, day, number = unpack(of_blocks[at])
    local before = (place - 1) * number
    for i = 1, number do
      if held[before + i] then
        packed_counters[#packed_counters + 1] = day + i - 1
        packed_counters[#packed_counters + 1] = held[before + i]
      end
    end
  end
  by_family[place] = packed_counters
end

local function groups()
  made = {}
  local number, found = 0, {}
  local first, last = unpack(ranges(ARGV[8]))
  if size > LOOKED_THROUGH * most then return false end
  for at, block in ipairs(blocks) do
    local names, held = {}, {}
    if sizes[at] > 0 then
      local pattern = '[\\' .. table.concat((days(block, first, last, '')), '\\') .. ']\\' .. group .. '*'
      local next = cursor or '0'
      repeat
        local answer = call('HSCAN', keys[at], next, 'MATCH', pattern, 'COUNT', cursor and at_once or sizes[at])
        next = answer[1]
        for i = 1, #answer[2], 2 do
          names[#names + 1] = answer[2][i]
          held[#names] = answer[2][i + 1]
        end
      until cursor or next == '0'
      cursor = cursor and next
    end
    number = number + #names
    if number > most then return false end
    found[at] = {names, held}
  end
  complete(found)
  local by_block = {}
  for at, block in ipairs(blocks) do
    by_block[2 * at - 1], by_block[2 * at] = block, found[at]
  end
  return by_block
end

local by_block = (group == '' or ARGV[8] == '') and {} or groups()
return {head[2], head[3] and 1 or 0, is_known and 1 or 0, partitions, by_family, by_block, cursor or nil}
