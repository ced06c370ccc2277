--[[
apply: count facts in one lane and move its fences, all or nothing.

Keys (LANE is KEYS[1], `{generation:lane}`, so every key below lies in one hash slot)
  LANE                     hash    generation, rules, retired; f<partition>: the fence, every event of the
                                   partition below it is counted in this lane and none at or above;
                                   c<partition>: complete-through in ms
  LANE:n                   set     tenants that have counters
  LANE:d:TENANT            set     days that have counters
  LANE:c:TENANT:DAY        hash    scope -> bag (counts of that day)
  LANE:s:TENANT            set     known sequences
  LANE:t:TENANT            set     known templates
  LANE:m:TENANT:DAY        string  layers of the state of messages sent that day: "SIZE SIZE ... COUNT",
                                   the number of buckets of each layer, then the entries in the last
  LANE:m:TENANT:DAY:LAYER:BUCKET   hash  id -> state; this and the line above expire

Arguments
  ARGV[1] generation, ARGV[2] fingerprint of the rules: the lane must carry both, else nothing is done
  ARGV[3] msgpack: {moves, facts}
    moves  = {{partition, prev, end, complete-through or -1}, ...}
    facts  = {kinds, digits, tenants}, and then there is one move; or false: only move fences
    kinds  = how many kinds there are
    digits = for each plane {{kind, divisor, size}, ...}: a state is a number of mixed radix, a digit for
             each kind of its plane: 0 where the kind is not counted, else the hour it is counted in + 1
    tenant = {TENANT, sequences, templates, days, counts}
    day    = {DAY, plane, ...}, plane = {ids, spreads, states, scopes} or false; spread mod SIZE is the bucket
             of an id; scopes = index of the sequence * 65536 + index of the template, 0 for none
    counts = {{DAY, scopes, tails}, ...}: what to count if every fact were new

Answers
  {'OK', repeated}            done; `repeated` of the facts were counted before
  {'GONE'}                    the lane is not there, retired, or of other rules
  {'GAP', partition, fence}   the fence is below `prev`: this Redis went back in time
  {'FOLD', partition, fence}  the fence is above `prev`: facts below it must be left out

Why so: a script that fails half way is not rolled back, so it reads and computes everything first and
writes last. The caller counts each call as if all facts were new; only facts whose message is known
already are corrected here: the least hour stays, the later one is taken back. That is what makes
applying commute and repeat harmlessly.
]]
local call, floor, format = redis.call, math.floor, string.format
local byte, char, sub, concat = string.byte, string.char, string.sub, table.concat
local lane = KEYS[1]
local input = cmsgpack.unpack(ARGV[3])
local moves, facts = input[1], input[2]

local SLICE = 3000           -- arguments of one command: Lua's stack takes fewer than 8000
local FILL = 200             -- entries of a bucket on average; a hash stays compact up to 512
local FIRST, GROWTH = 8, 4   -- buckets of the first layer of an unknown tenant; of the next layer to the last
local KEPT = 79 * 86400      -- from the start of the send day: 78 days after any send in it
local GRACE = 14 * 86400     -- state goes this long after KEPT or, where that is later, its last write
local MANY, SEVERAL, MINUS = 253, 254, 255

-- A reading command with a list of arguments of any length; nil answers are false.
local function ask(command, key, list)
  if #list <= SLICE then return call(command, key, unpack(list)) end
  local all = {}
  for from = 1, #list, SLICE do
    local part = call(command, key, unpack(list, from, math.min(from + SLICE - 1, #list)))
    for i = 1, #part do all[from + i - 1] = part[i] end
  end
  return all
end

-- What will be written: key -> {command, argument, ...}, and when the key is to expire.
local order, puts, expiry = {}, {}, {}
local function put(command, key, ...)
  local list = puts[key]
  if not list then
    list = {command}
    puts[key] = list
    order[#order + 1] = key
  end
  local n = #list
  for i = 1, select('#', ...) do list[n + i] = (select(i, ...)) end
end

-- 1. Is this the lane that the caller means, and does it stand where the caller thinks?
local fields = {'generation', 'rules', 'retired'}
for i = 1, #moves do
  fields[2 + 2 * i] = format('f%d', moves[i][1])
  fields[3 + 2 * i] = format('c%d', moves[i][1])
end
local head = ask('HMGET', lane, fields)
if head[1] ~= ARGV[1] or head[2] ~= ARGV[2] or head[3] then return {'GONE'} end
for i = 1, #moves do
  local partition, prev, upto, through = unpack(moves[i])
  local fence = tonumber(head[2 + 2 * i] or '0')
  if fence < prev then return {'GAP', partition, fence} end
  if facts and fence > prev then return {'FOLD', partition, fence} end
  if upto > fence then put('HSET', lane, fields[2 + 2 * i], format('%d', upto)) end
  if through > tonumber(head[3 + 2 * i] or '-1') then
    put('HSET', lane, fields[3 + 2 * i], format('%d', through))
  end
end

local now = tonumber(call('TIME')[1])
local repeated = 0

-- A state with a newer one in it: each kind at its least hour. What is counted once too often goes to `back`.
local function merge(rows, state, newer, scopes, day, back)
  for r = 1, #rows do
    local kind, divisor, size = rows[r][1], rows[r][2], rows[r][3]
    local digit = floor(newer / divisor) % size
    if digit > 0 then
      local had = floor(state / divisor) % size
      if had == 0 then
        state = state + digit * divisor
      else
        repeated = repeated + 1
        local hour = math.max(had, digit) - 1
        back[#back + 1] = {day + floor(hour / 24), hour % 24, kind, scopes}
        if digit < had then state = state - (had - digit) * divisor end
      end
    end
  end
  return state
end

-- The layers of a send day: buckets of each, and entries in the last.
local function layers(meta)
  local sizes = {}
  for number in string.gmatch(call('GET', meta) or '', '%d+') do sizes[#sizes + 1] = tonumber(number) end
  return sizes, table.remove(sizes) or 0
end

-- Entries, {id, spread, state, scopes, plane}, by the bucket of a layer that they belong to.
local function by_bucket(entries, size)
  local lists, buckets = {}, {}
  for i = 1, #entries do
    local bucket = entries[i][2] % size
    local list = lists[bucket]
    if not list then
      list = {}
      lists[bucket] = list
      buckets[#buckets + 1] = bucket
    end
    list[#list + 1] = entries[i]
  end
  return lists, buckets
end

-- 2. The states of one send day: look each id up in every layer, correct what is there, place what is new.
--    Layers never change their size, so an id stays where it is; a day that outgrows its layers gets a bigger
--    one for what comes, and a new day begins with what yesterday, or this day last week, needed.
local function remember(tenant, block, digits, back)
  local day = block[1]
  local base = lane .. ':m:' .. tenant .. ':'
  local meta = base .. format('%d', day)
  local sizes, count = layers(meta)
  local last = day * 86400 + KEPT
  local expires, overdue = format('%d', math.max(now, last) + GRACE), now > last
  local fresh, empty = {}, {}
  for plane = 1, #block - 1 do
    local ids, spreads, states, scopes = unpack(block[plane + 1] or {{}})
    for i = 1, #ids do fresh[#fresh + 1] = {ids[i], spreads[i], states[i], scopes[i], plane} end
  end

  for layer = 1, #sizes do
    local lists, buckets = by_bucket(fresh, sizes[layer])
    fresh = {}
    for b = 1, #buckets do
      local entries, ids = lists[buckets[b]], {}
      for i = 1, #entries do ids[i] = entries[i][1] end
      local key = format('%s:%d:%d', meta, layer, buckets[b])
      local states, none = ask('HMGET', key, ids), true
      for i = 1, #entries do
        local entry, state = entries[i], states[i] and tonumber(states[i])
        if state then
          none = false
          local merged = merge(digits[entry[5]], state, entry[3], entry[4], day, back)
          if merged ~= state then
            put('HSET', key, entry[1], format('%d', merged))
            if overdue then expiry[key] = expires end
          end
        else
          fresh[#fresh + 1] = entry
        end
      end
      empty[key] = none
    end
  end

  if #fresh > 0 then
    if #sizes == 0 then
      local expected = #fresh
      for _, ago in ipairs({1, 7}) do
        local before, entries = layers(base .. format('%d', day - ago))
        for layer = 1, #before - 1 do entries = entries + before[layer] * FILL end
        expected = math.max(expected, entries)
      end
      sizes[1] = math.max(FIRST, math.ceil(expected / FILL))
    elseif count + #fresh > sizes[#sizes] * FILL * 1.25 then
      sizes[#sizes + 1] = math.max(sizes[#sizes] * GROWTH, math.ceil(#fresh / FILL))
      count = 0
    end
    local lists, buckets = by_bucket(fresh, sizes[#sizes])
    for b = 1, #buckets do
      local entries = lists[buckets[b]]
      local key = format('%s:%d:%d', meta, #sizes, buckets[b])
      for i = 1, #entries do put('HSET', key, entries[i][1], format('%d', entries[i][3])) end
      if overdue or empty[key] ~= false then expiry[key] = expires end
    end
    count = count + #fresh
  end
  sizes[#sizes + 1] = count
  put('SET', meta, concat(sizes, ' '), 'EXAT', expires)
end

-- A bag with its tail packed: see `unpack_bag` in schemas/counters.py.
local function pack(bag)
  local counts, at = {}, 3
  while at <= #bag do
    local mark, cell, n = byte(bag, at), byte(bag, at + 1), nil
    if mark == MINUS then
      n, at = -1, at + 2
    elseif mark == SEVERAL then
      n, at = byte(bag, at + 2), at + 3
    elseif mark == MANY then
      local a, b, c, d = byte(bag, at + 2, at + 5)
      n, at = a + 256 * (b + 256 * (c + 256 * d)), at + 6
    else
      cell, n, at = mark, 1, at + 1
    end
    counts[cell] = (counts[cell] or 0) + n
  end
  local items = {}
  for cell = 0, MANY - 1 do
    local n = counts[cell] or 0
    if n < 0 then
      items[#items + 1] = string.rep(char(MINUS, cell), -n)
    elseif n <= 3 then
      items[#items + 1] = string.rep(char(cell), n)
    elseif n < 256 then
      items[#items + 1] = char(SEVERAL, cell, n)
    else
      items[#items + 1] = char(MANY, cell, n % 256, floor(n / 256) % 256, floor(n / 65536) % 256, floor(n / 16777216))
    end
  end
  local packed = concat(items)
  return char(#packed % 256, floor(#packed / 256)) .. packed
end

-- Members that a set does not have yet are added to it.
local function know(key, ids)
  if #ids == 0 then return end
  local known = ask('SMISMEMBER', key, ids)
  for i = 1, #ids do
    if known[i] == 0 then put('SADD', key, ids[i]) end
  end
end

-- 3. The counts of one tenant and day.
local function count_day(tenant, day, scopes, tails)
  local key = format('%s:c:%s:%d', lane, tenant, day)
  local bags = ask('HMGET', key, scopes)
  if not bags[1] then
    know(lane .. ':d:' .. tenant, {format('%d', day)})
    know(lane .. ':n', {tenant})
  end
  for i = 1, #scopes do
    local bag = (bags[i] or '\0\0') .. tails[i]
    local low, high = byte(bag, 1, 2)
    local packed = low + 256 * high
    if #bag - 2 - packed > packed + 32 then bag = pack(bag) end
    put('HSET', key, scopes[i], bag)
  end
end

local kinds, digits, tenants = unpack(facts or {0, {}, {}})
for t = 1, #tenants do
  local tenant, sequences, templates, blocks, counts = unpack(tenants[t])
  local back = {}
  for b = 1, #blocks do remember(tenant, blocks[b], digits, back) end

  local days, where = {}, {}   -- day -> {scopes, tails}, day -> scope -> index
  for c = 1, #counts do
    local day, scopes, tails = unpack(counts[c])
    local index = {}
    for i = 1, #scopes do index[scopes[i]] = i end
    days[day], where[day] = {scopes, tails}, index
  end
  for i = 1, #back do
    local day, hour, kind, pair = unpack(back[i])
    if not days[day] then days[day], where[day] = {{'t'}, {''}}, {t = 1} end
    local scopes, tails = unpack(days[day])
    local minus = char(MINUS, hour * kinds + kind)
    local sequence, template = sequences[floor(pair / 65536)], templates[pair % 65536]
    for _, scope in ipairs({'t', sequence and 's' .. sequence or false, template and 'p' .. template or false}) do
      if scope then
        local at = where[day][scope]
        if not at then
          at = #scopes + 1
          scopes[at], tails[at], where[day][scope] = scope, '', at
        end
        tails[at] = tails[at] .. minus
      end
    end
  end
  for day, both in pairs(days) do count_day(tenant, day, both[1], both[2]) end
  know(lane .. ':s:' .. tenant, sequences)
  know(lane .. ':t:' .. tenant, templates)
end

-- 4. From here on nothing but writes.
for i = 1, #order do
  local key = order[i]
  local list = puts[key]
  local command = list[1]
  for from = 2, #list, SLICE do call(command, key, unpack(list, from, math.min(from + SLICE - 1, #list))) end
  if expiry[key] then call('EXPIREAT', key, expiry[key]) end
end
return {'OK', repeated}
