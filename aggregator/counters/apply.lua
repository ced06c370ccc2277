--[[
apply: count facts in one lane and move its checkpoints, all or nothing.

Long because Redis runs one script as one step: all that must happen together stands here, and a script cannot
use another file.

Keys (LANE is KEYS[1], `{generation:lane}`, so every key below lies in one hash slot; `schemas.redis_keys`
says what stands in each)
  LANE                     hash    generation, rules (of counting, and which erasures the lane has taken in:
                                   `aggregator.erasure.take_in`), retired; f<partition>: the checkpoint, every
                                   event of the partition below it is counted in this lane and none at or above;
                                   c<partition>: complete-through in ms
  LANE:n                   set     tenants that have counters
  LANE:i:TENANT            zset    known ids and blocks with counters, in the order of bytes
  LANE:c:TENANT:BLOCK      hash    day and family, scope, id -> packed counter, or IS_WIDE
  LANE:w:TENANT:BLOCK      hash    day and family, scope, id -> packed counter of more than WIDE bytes
  LANE:m:HORIZON:DAY       string  layers of the state of messages sent that day: "SIZE SIZE ... COUNT",
                                   the number of buckets of each layer, then the entries in the last
  LANE:m:HORIZON:DAY:LAYER:BUCKET  hash  id -> state; this and the line above expire

Arguments
  ARGV[1] generation, ARGV[2] rules: the lane must carry both, else nothing is done
  ARGV[3] msgpack: {moves, facts}
    moves    = {{partition, prev, end, complete-through or -1}, ...}
    facts    = {horizons, digits, tenants, scopes, days, counts}, all from between `prev` and `end` of the
               moves; or false: only move
    horizons = {{name, seconds from a send after which no record states anything}, ...}
    digits   = for each key group {{divisor, last, family, place}, ...}: a state is a number of mixed radix, a
               digit of 0 to `last` for each kind of its key group (`aggregator.counting.states` says how it
               is read); family and place say where the kind is counted
    tenants  = {TENANT, ...}
    scopes   = {{index of the tenant, {SCOPE id, ...}}, ...}: what a mail counts for
    day      = {index of the horizon, DAY, bucket hashes, ids, states, key groups, scopes}: a column each, by
               rising bucket hash; bucket hash * SIZE / 2^32 is the bucket of an id; states are decimal; key
               groups and scopes are indices
    counts   = {{index of the tenant, BLOCK, fields, tails}, ...}: what to count if every fact were new
  ARGV[4] where tenants are erased, msgpack {the rules that the lane carries from now on, {TENANT, ...}}: all
    that is counted of these goes, and of them there is what `facts` says. So also in a retired lane.

Answers
  {'OK', repeated, {TENANT, SCOPE, number, ...}}   done; `repeated` of the facts were counted before; of the
                                   scopes that have new ids how many ids they have, from MANY_IDS on
  {'GONE'}                         the lane is not there, retired, or of other rules
  {'ERASED'}                       the lane has taken in other erasures than the caller
  {'ROLLED_BACK', partition, checkpoint}   the checkpoint is below `prev`: this Redis went back in time
  {'REBASE', partition, checkpoint}   the checkpoint is above `prev`: facts below it must be left out

Why so: a script that fails half way is not rolled back, so it reads and computes everything first and
writes last. The caller counts each call as if all facts were new; only facts whose message is known
already are corrected here: the least quarter stays, the later one is taken back. That is what makes
applying commute and repeat harmlessly.

Why all keys are looked at together before the first write: while a cluster moves the slot key by key, a
script may be ended at each key that is not here, and what it wrote would stay; and the node that the keys go
to takes a key that has not come yet for one that there never was, if it is asked for that one alone. Of many
in one command none may be missing while a slot moves. So a call may be stopped then, and never halved.
]]
local call, floor, format = redis.call, math.floor, string.format
local byte, char, sub, concat = string.byte, string.char, string.sub, table.concat
local lane = KEYS[1]
local input = cmsgpack.unpack(ARGV[3])
local moves, facts = input[1], input[2]
local erasing = ARGV[4] and cmsgpack.unpack(ARGV[4])

local SLICE = 3000           -- arguments of one command: Lua's stack takes fewer than 8000
local FILL = 200             -- entries of a bucket on average; a hash stays compact up to 512
local FIRST, GROWTH = 8, 4   -- buckets of the first layer of an unknown lane; of the next layer to the last
local SPAN = 4294967296      -- of a bucket hash
local GRACE = 14 * 86400     -- state goes this long after it can matter or, where that is later, its last write
local MANY_IDS = 1000        -- a scope of a tenant with so many known ids is reported
local QUARTERS, KINDS_MAX, BLOCK_DAYS, FIRST_BLOCK = 96, 16, 4, -2147483648
local MOST, BYTE, FOUR_BYTES, PACKED, HEAD = 7, 8, 9, 255, 5   -- of items: see `schemas.packed_counter`
local LOOSE = 40             -- bytes of a tail that are left as they are
local WIDE, IS_WIDE = 64, char(254)   -- a longer value makes a hash none of the compact ones

-- A reading command with the arguments first..last of a list; nil answers are false.
local function ask(command, key, list, first, last)
  if last - first < SLICE then return call(command, key, unpack(list, first, last)) end
  local all, n = {}, 0
  for from = first, last, SLICE do
    local part = call(command, key, unpack(list, from, math.min(from + SLICE - 1, last)))
    for i = 1, #part do all[n + i] = part[i] end
    n = n + #part
  end
  return all
end

-- Every key that decides anything or will be written, each once.
local keys, is_key = {}, {}
local function touch(key)
  if not is_key[key] then
    is_key[key] = true
    keys[#keys + 1] = key
  end
end

-- What will be written: {command, key, arguments, when the key is to expire or nil}, in order.
local writes = {}
local function write(command, key, list, expires)
  touch(key)
  writes[#writes + 1] = {command, key, list, expires}
end

-- 1. Is this the lane that the caller means, and does it stand where the caller thinks?
local fields = {'generation', 'rules', 'retired'}
for i = 1, #moves do
  fields[2 + 2 * i] = format('f%d', moves[i][1])
  fields[3 + 2 * i] = format('c%d', moves[i][1])
end
local head = ask('HMGET', lane, fields, 1, #fields)
if head[1] ~= ARGV[1] or (head[3] and not erasing) then return {'GONE'} end
if head[2] ~= ARGV[2] then
  local function rules_alone(rules) return string.match(rules or '', '^[^+!]*') end
  return {rules_alone(head[2]) == rules_alone(ARGV[2]) and 'ERASED' or 'GONE'}
end
local reached = {}
for i = 1, #moves do
  local partition, prev, upto, through = unpack(moves[i])
  local checkpoint = tonumber(head[2 + 2 * i] or '0')
  if checkpoint < prev then return {'ROLLED_BACK', partition, checkpoint} end
  if facts and checkpoint > prev then return {'REBASE', partition, checkpoint} end
  if upto > checkpoint then
    reached[#reached + 1] = fields[2 + 2 * i]
    reached[#reached + 1] = format('%d', upto)
  end
  if through > tonumber(head[3 + 2 * i] or '-1') then
    reached[#reached + 1] = fields[3 + 2 * i]
    reached[#reached + 1] = format('%d', through)
  end
end
if #reached > 0 then write('HSET', lane, reached) end

-- The tenants that are erased, and their keys, which go before anything is written.
local is_erased, going = {}, {}
local function goes(key)
  touch(key)
  going[#going + 1] = key
end
if erasing then
  write('HSET', lane, {'rules', erasing[1]})
  for _, tenant in ipairs(erasing[2]) do
    local known = format('%s:i:%s', lane, tenant)
    is_erased[tenant] = true
    goes(known)
    for _, member in ipairs(call('ZRANGEBYLEX', known, '[\0', '(\1')) do
      local a, b, c, d = byte(member, 2, 5)
      local block = ((a * 256 + b) * 256 + c) * 256 + d + FIRST_BLOCK
      goes(format('%s:c:%s:%d', lane, tenant, block))
      goes(format('%s:w:%s:%d', lane, tenant, block))
    end
  end
  if #erasing[2] > 0 then write('SREM', lane .. ':n', erasing[2]) end
end

local horizons, digits, tenants, scopes, days, counts = unpack(facts or {{}, {}, {}, {}, {}, {}})
local now = tonumber(call('TIME')[1])
local repeated = 0
local back = {}   -- what is counted once too often: {scopes, day, quarter, family, place}

-- For each digit of a state 0, or 1 + its quarter from the start of the send day.
local function read(rows, state)
  local first = state % (rows[1][2] + 1)
  local quarters = {first}
  for r = 2, #rows do
    local last = rows[r][2]
    local digit = floor(state / rows[r][1]) % (last + 1)
    if digit > 0 and first > 0 then digit = (digit + first - 2) % last + 1 end
    quarters[r] = digit
  end
  return quarters
end

-- A state with a newer one in it: each kind at its least quarter.
local function merge(rows, state, newer, scope, day)
  local had, quarters = read(rows, state), read(rows, newer)
  for r = 1, #rows do
    local one, other = had[r], quarters[r]
    if one > 0 and other > 0 then
      repeated = repeated + 1
      local quarter = math.max(one, other) - 1
      back[#back + 1] = {scope, day + floor(quarter / QUARTERS), quarter % QUARTERS, rows[r][3], rows[r][4]}
      if one < other then quarters[r] = one end
    elseif one > 0 then
      quarters[r] = one
    end
  end
  local first = quarters[1]
  local merged = first
  for r = 2, #rows do
    local digit = quarters[r]
    if digit > 0 and first > 0 then digit = (digit - first) % rows[r][2] + 1 end
    merged = merged + digit * rows[r][1]
  end
  return merged
end

-- The layers of a send day: buckets of each, and entries in the last.
local function layers(meta)
  local sizes = {}
  for number in string.gmatch(call('GET', meta) or '', '%d+') do sizes[#sizes + 1] = tonumber(number) end
  return sizes, table.remove(sizes) or 0
end

-- 2. The states of one horizon and send day: look each id up in every layer, correct what is there, place what
--    is new. Layers never change their size, so an id stays where it is; a day that outgrows its layers gets a
--    bigger one for what comes, and a new day begins with what yesterday, or this day last week, needed.
--    The columns come by rising bucket hash, so the ids of a bucket stand side by side in each layer.
local function remember(block)
  local horizon, day, bucket_hashes, ids, states, key_groups, of = unpack(block)
  local name, stale = unpack(horizons[horizon])
  local base = format('%s:m:%s:', lane, name)
  local meta = format('%s%d', base, day)
  local sizes, count = layers(meta)
  local last = (day + 1) * 86400 + stale   -- no record states anything of a mail of that day after it
  local expires, overdue = format('%d', math.max(now, last) + GRACE), now > last
  local empty = {}   -- buckets in which none of the ids was found

  -- Calls `each` with a bucket's key and the places from..to of its ids, for every bucket of a layer.
  local function by_bucket(layer, each)
    local size, prefix, n, from = sizes[layer], format('%s:%d:', meta, layer), #ids, 1
    while from <= n do
      local bucket = floor(bucket_hashes[from] * size / SPAN)
      local top, to = (bucket + 1) * SPAN, from
      while to < n and bucket_hashes[to + 1] * size < top do to = to + 1 end
      each(format('%s%d', prefix, bucket), from, to)
      from = to + 1
    end
  end

  for layer = 1, #sizes do
    local left, known = {}, 0   -- places of the ids that this layer does not have
    by_bucket(layer, function(key, from, to)
      touch(key)
      local had, list = ask('HMGET', key, ids, from, to), {}
      local before = known
      for i = from, to do
        local state = had[i - from + 1]
        if state then
          known = known + 1
          state = tonumber(state)
          local merged = merge(digits[key_groups[i]], state, tonumber(states[i]), of[i], day)
          if merged ~= state then
            list[#list + 1] = ids[i]
            list[#list + 1] = format('%d', merged)
          end
        else
          left[i - known] = i
        end
      end
      if #list > 0 then write('HSET', key, list, overdue and expires or nil) end
      if known == before then empty[key] = true end
    end)
    if known > 0 then
      local columns = {{}, {}, {}, {}, {}}
      for n, i in ipairs(left) do
        columns[1][n], columns[2][n], columns[3][n] = bucket_hashes[i], ids[i], states[i]
        columns[4][n], columns[5][n] = key_groups[i], of[i]
      end
      bucket_hashes, ids, states, key_groups, of = unpack(columns)
    end
  end

  local fresh = #ids
  if fresh > 0 then
    if #sizes == 0 then
      local expected = fresh
      for _, ago in ipairs({1, 7}) do
        local before, entries = layers(format('%s%d', base, day - ago))
        for layer = 1, #before - 1 do entries = entries + before[layer] * FILL end
        expected = math.max(expected, entries)
      end
      sizes[1] = math.max(FIRST, math.ceil(expected / FILL))
    elseif count + fresh > sizes[#sizes] * FILL * 1.25 then
      sizes[#sizes + 1] = math.max(sizes[#sizes] * GROWTH, math.ceil(fresh / FILL))
      count, empty = 0, {}
    end
    by_bucket(#sizes, function(key, from, to)
      local list, n = {}, 0
      for i = from, to do
        list[n + 1], list[n + 2] = ids[i], states[i]
        n = n + 2
      end
      write('HSET', key, list, (overdue or empty[key] ~= nil or count == 0) and expires or nil)
    end)
    count = count + fresh
  end
  sizes[#sizes + 1] = count
  write('SET', meta, {concat(sizes, ' '), 'EXAT', expires})
end
for d = 1, #days do remember(days[d]) end

-- The bytes from..to of a text: one by one each would be a call.
local function bytes(text, from, to)
  local all = {byte(text, from, math.min(from + SLICE - 1, to))}
  for at = from + SLICE, to do all[at - from + 1] = byte(text, at) end
  return all
end

-- Adds the items from..to of a text to counts by cell: of hours where there are any, and of quarters but the
-- first of each hour.
local function add(text, from, to, hours, quarters)
  local numbers, at, within, hour, first = bytes(text, from, to), 1, nil, nil, nil
  while numbers[at] do
    local number = numbers[at]
    at = at + 1
    if number < QUARTERS then
      within = number % 4
      hour, first = (number - within) * KINDS_MAX, number * KINDS_MAX
    else
      local place = (number - QUARTERS) % KINDS_MAX
      local n = (number - QUARTERS - place) / KINDS_MAX
      if n == BYTE then
        n, at = numbers[at], at + 1
      elseif n == FOUR_BYTES then
        local a, b, c, d = unpack(numbers, at, at + 3)
        n, at = a + 256 * (b + 256 * (c + 256 * d)), at + 4
      elseif n == 0 then
        n = -1
      end
      if hours then hours[hour + place] = (hours[hour + place] or 0) + n end
      if within > 0 then quarters[first + place] = (quarters[first + place] or 0) + n end
    end
  end
end

-- The items of counts by cell. Less than nothing is as many items that take one back.
local function items(counts)
  local cells, list, size, before = {}, {}, 0, nil   -- size: of the list, whose bytes become text together
  for cell, n in pairs(counts) do
    if n ~= 0 then cells[#cells + 1] = cell end
  end
  table.sort(cells)
  for i = 1, #cells do
    local cell = cells[i]
    local n, place = counts[cell], cell % KINDS_MAX
    local quarter, kind = (cell - place) / KINDS_MAX, QUARTERS + place
    if quarter ~= before then
      size = size + 1
      list[size], before = quarter, quarter
    end
    size = size + 1
    if n < 0 then
      for taken = size, size - n - 1 do list[taken] = kind end
      size = size - n - 1
    elseif n <= MOST then
      list[size] = kind + KINDS_MAX * n
    elseif n < 256 then
      list[size], list[size + 1] = kind + KINDS_MAX * BYTE, n
      size = size + 1
    else
      list[size], list[size + 1], list[size + 2] = kind + KINDS_MAX * FOUR_BYTES, n % 256, floor(n / 256) % 256
      list[size + 3], list[size + 4] = floor(n / 65536) % 256, floor(n / 16777216)
      size = size + 4
    end
  end
  local parts = {}
  for from = 1, size, SLICE do
    parts[#parts + 1] = char(unpack(list, from, math.min(from + SLICE - 1, size)))
  end
  return concat(parts)
end

-- A packed counter with a tail added, packed where its tail has outgrown what is packed.
local function grown(packed_counter, tail)
  if not packed_counter then return tail end
  packed_counter = packed_counter .. tail
  local hours_size, quarters_size, start = 0, 0, 1
  if byte(packed_counter, 1) == PACKED then
    local a, b, c, d = byte(packed_counter, 2, HEAD)
    hours_size, quarters_size = a + 256 * b, c + 256 * d
    start = 1 + HEAD + hours_size + quarters_size
  end
  if #packed_counter - start + 1 <= hours_size + quarters_size + LOOSE then return packed_counter end
  local hours, quarters = {}, {}
  if start > 1 then
    add(packed_counter, 1 + HEAD, HEAD + hours_size, hours, quarters)
    add(packed_counter, 1 + HEAD + hours_size, start - 1, nil, quarters)
  end
  add(packed_counter, start, #packed_counter, hours, quarters)
  local first, second = items(hours), items(quarters)
  return char(PACKED, #first % 256, floor(#first / 256), #second % 256, floor(#second / 256)) .. first .. second
end

-- 3. The counters. What to take back is added up before it becomes text: a text that grew by one fact at a
--    time would be copied as often, and a call that repeats n facts would cost n * n.
local blocks = {}   -- index of the tenant -> BLOCK -> {fields, tails, field -> its place}
for c = 1, #counts do
  local tenant, block, names, tails = unpack(counts[c])
  blocks[tenant] = blocks[tenant] or {}
  blocks[tenant][block] = {names, tails}
end
local taken = {}   -- tails -> place -> cell -> how many
for i = 1, #back do
  local scope, day, quarter, family, place = unpack(back[i])
  local tenant, suffixes = unpack(scopes[scope])
  local block = floor(day / BLOCK_DAYS)
  if not blocks[tenant] then blocks[tenant] = {} end
  local both = blocks[tenant][block]
  if not both then
    both = {{}, {}}
    blocks[tenant][block] = both
  end
  if not both[3] then
    both[3] = {}
    for at, name in ipairs(both[1]) do both[3][name] = at end
  end
  local names, tails, where = unpack(both)
  local prefix, cell = char(day % BLOCK_DAYS + BLOCK_DAYS * family), quarter * KINDS_MAX + place
  for s = 1, #suffixes do
    local name = prefix .. suffixes[s]
    local at = where[name]
    if not at then
      at = #names + 1
      names[at], tails[at], where[name] = name, '', at
    end
    local cells = taken[tails] and taken[tails][at]
    if not cells then
      cells = {}
      taken[tails] = taken[tails] or {}
      taken[tails][at] = cells
    end
    cells[cell] = (cells[cell] or 0) + 1
  end
end
for tails, by_place in pairs(taken) do
  for at, cells in pairs(by_place) do
    local parts = {tails[at]}
    for cell, n in pairs(cells) do cells[cell] = -n end
    parts[2] = items(cells)
    tails[at] = concat(parts)
  end
end

-- A field's first packed counter is when its id, or its block, may become known.
local new_tenants, new_ids = {}, {}   -- the latter: tenant -> scopes that have any
local function count(tenant, block, names, tails)
  local key = format('%s:c:%s:%d', lane, tenant, block)
  local wide_key = format('%s:w:%s:%d', lane, tenant, block)
  touch(key)
  local had = is_erased[tenant] and {} or ask('HMGET', key, names, 1, #names)
  local wide, at, known, is_new = {}, {}, {}, false
  for i = 1, #names do
    local name = names[i]
    if had[i] == IS_WIDE then
      wide[#wide + 1], at[#at + 1] = name, i
    elseif not had[i] and byte(name, 2) > 0 then
      known[#known + 1] = 0
      known[#known + 1] = sub(name, 2)
      new_ids[tenant] = new_ids[tenant] or {}
      new_ids[tenant][byte(name, 2)] = true
    elseif not had[i] and not is_new then
      is_new = true
      local n = block - FIRST_BLOCK
      known[#known + 1] = 0
      known[#known + 1] = char(0, floor(n / 16777216), floor(n / 65536) % 256, floor(n / 256) % 256, n % 256)
      new_tenants[#new_tenants + 1] = tenant
    end
  end
  local is_wide = {}
  if #wide > 0 then
    touch(wide_key)
    local found = ask('HMGET', wide_key, wide, 1, #wide)
    for i = 1, #wide do
      if not found[i] then error('damaged counter: a wide one is not in ' .. wide_key) end
      had[at[i]], is_wide[at[i]] = found[i], true
    end
  end
  local list, wide_list = {}, {}
  for i = 1, #names do
    local packed_counter = grown(had[i], tails[i])
    if is_wide[i] or #packed_counter > WIDE then
      wide_list[#wide_list + 1], wide_list[#wide_list + 2] = names[i], packed_counter
      packed_counter = IS_WIDE
    end
    if not is_wide[i] then list[#list + 1], list[#list + 2] = names[i], packed_counter end
  end
  if #list > 0 then write('HSET', key, list) end
  if #wide_list > 0 then write('HSET', wide_key, wide_list) end
  if #known > 0 then write('ZADD', format('%s:i:%s', lane, tenant), known) end
end
for tenant, by_block in pairs(blocks) do
  for block, both in pairs(by_block) do count(tenants[tenant], block, both[1], both[2]) end
end
if #new_tenants > 0 then write('SADD', lane .. ':n', new_tenants) end

-- 4. All keys together, and whether this user may give each command that is to come: a script that is ended at
--    one has done those before it. Then nothing but writes.
local asked = {}
local function may(command, key, ...)
  if not asked[command] then
    asked[command] = true
    if not redis.acl_check_cmd(command, key, ...) then
      error({err = "NOPERM this user has no permissions to run the '" .. string.lower(command) .. "' command"})
    end
  end
end
for i = 1, #writes do
  local command, key, list, expires = unpack(writes[i], 1, 4)
  may(command, key, unpack(list, 1, math.min(#list, 4)))
  if expires then may('EXPIREAT', key, expires) end
end
if next(new_ids) then
  may('ZCARD', lane)
  may('ZLEXCOUNT', lane, '-', '+')
end
if #going > 0 then may('UNLINK', going[1]) end
for from = 1, #keys, SLICE do call('EXISTS', lane, unpack(keys, from, math.min(from + SLICE - 1, #keys))) end
for from = 1, #going, SLICE do call('UNLINK', unpack(going, from, math.min(from + SLICE - 1, #going))) end
for i = 1, #writes do
  local command, key, list, expires = unpack(writes[i], 1, 4)
  for from = 1, #list, SLICE do call(command, key, unpack(list, from, math.min(from + SLICE - 1, #list))) end
  if expires then call('EXPIREAT', key, expires) end
end

-- 5. Scopes that have got many ids.
local many = {}
for tenant, of in pairs(new_ids) do
  local known = format('%s:i:%s', lane, tenant)
  if call('ZCARD', known) >= MANY_IDS then
    for scope in pairs(of) do
      local n = call('ZLEXCOUNT', known, '[' .. char(scope), '(' .. char(scope + 1))
      if n >= MANY_IDS then
        many[#many + 1], many[#many + 2], many[#many + 3] = tenant, scope, n
      end
    end
  end
end
return {'OK', repeated, many}
