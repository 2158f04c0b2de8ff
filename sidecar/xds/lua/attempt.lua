-- Runs in the cluster of every backend, once per attempt; CONTROL_FIELDS is set above this text.
-- What differs between clusters comes in headers, so that all share one Lua state per thread:
-- x-pointsman-target (the scheme, and what replaces /v1 in the path, "/" for nothing) and
-- x-pointsman-model (the model's name as JSON).
local find, sub, byte, match = string.find, string.sub, string.byte, string.match

-- Returns the position after the string whose opening quote is at `pos`.
local function after_string(text, pos)
  while true do
    pos = find(text, '"', pos + 1, true)
    if pos == nil then return nil end
    local back = pos - 1
    while byte(text, back) == 92 do back = back - 1 end
    if (pos - back) % 2 == 1 then return pos + 1 end
  end
end

local function after_value(text, pos)
  local first = byte(text, pos)
  if first == 34 then return after_string(text, pos) end
  if first ~= 123 and first ~= 91 then return match(text, '^[%w+.-]+()', pos) end
  local depth = 0
  repeat
    pos = find(text, '["{}%[%]]', pos)
    if pos == nil then return nil end
    local char = byte(text, pos)
    if char == 34 then
      pos = after_string(text, pos)
      if pos == nil then return nil end
    else
      depth = depth + ((char == 123 or char == 91) and 1 or -1)
      pos = pos + 1
    end
  until depth == 0
  return pos
end

-- Returns key, start of the value, its end and the delimiter behind it (with its place).
local function member(text, pos)
  local quote = match(text, '^%s*()"', pos)
  local close = quote and after_string(text, quote)
  local value = close and match(text, '^%s*:%s*()', close)
  local stop = value and after_value(text, value)
  if stop == nil then return nil end
  local place, delimiter = match(text, '^%s*()([,}])', stop)
  local key = sub(text, quote + 1, close - 2)
  if find(key, '\\', 1, true) then
    key = key:gsub('\\u00(%x%x)', function(hex) return string.char(tonumber(hex, 16)) end)
  end
  return key, value, stop, place, delimiter
end

-- Returns the JSON object `text` with `model` as its model and without the fields that steer
-- us, or nil when it is not understood. All other bytes stay as they are.
local function undecided(text, model)
  local start = match(text, '^%s*{()')
  if start == nil then return nil end
  local out, named, kept = {sub(text, 1, start - 1), ''}, false, false
  local from, pos = start, start
  local delimiter = match(text, '^%s*(})', pos)
  if delimiter then pos = find(text, '}', pos, true) + 1 end
  while delimiter ~= '}' do
    local key, value, stop, place
    key, value, stop, place, delimiter = member(text, pos)
    if place == nil then return nil end
    if CONTROL_FIELDS[key] then
      if pos > from then out[#out + 1] = sub(text, from, pos - 1) end
      from = place + 1
      if delimiter == '}' then
        from = place
        if #out > 2 then out[#out] = sub(out[#out], 1, -2) end
      end
    else
      kept = true
      if key == 'model' then
        named = true
        out[#out + 1] = sub(text, from, value - 1)
        out[#out + 1] = model
        from = stop
      end
    end
    pos = place + 1
  end
  if not match(text, '^%s*$', pos) then return nil end
  if not named then out[2] = '"model":' .. model .. (kept and ',' or '') end
  out[#out + 1] = sub(text, from)
  return table.concat(out)
end

-- Returns the body with `splices` ({offset, length, text, …}, ascending) applied.
local function spliced(body, splices)
  local out, pos = {}, 0
  for i = 1, #splices, 3 do
    if splices[i] > pos then out[#out + 1] = body:getBytes(pos, splices[i] - pos) end
    out[#out + 1] = splices[i + 2]
    pos = splices[i] + splices[i + 1]
  end
  if body:length() > pos then out[#out + 1] = body:getBytes(pos, body:length() - pos) end
  return table.concat(out)
end

-- An earlier attempt may have changed the path: the client's own is kept in metadata.
local function set_path(headers, metadata, prefix)
  local kept = metadata:get('pointsman.request')
  local path = kept and kept.path or headers:get(':path')
  if prefix ~= '/' and sub(path, 1, 4) == '/v1/' then
    if kept == nil then metadata:set('pointsman.request', 'path', path) end
    headers:replace(':path', prefix .. sub(path, 4))
  elseif kept ~= nil then
    headers:replace(':path', path)
  end
end

function envoy_on_request(handle)
  local headers, info = handle:headers(), handle:streamInfo()
  local metadata = info:dynamicMetadata()
  local scheme, prefix = match(headers:get('x-pointsman-target'), '^(%a+) (.*)$')
  local model = headers:get('x-pointsman-model')
  local attempt = tonumber(headers:get('x-envoy-attempt-count') or '1')
  headers:remove('x-pointsman-target')
  headers:remove('x-pointsman-model')
  headers:remove('x-envoy-attempt-count')
  headers:replace(':scheme', scheme)
  set_path(headers, metadata, prefix)
  if info:routeName() ~= 'decided' then return end

  local patch = metadata:get('pointsman.patch')
  local splices = patch and patch.attempts[attempt] or {}
  -- Nothing to change; but an earlier attempt has left its own content-length.
  if patch and #splices == 0 and attempt == 1 then return end
  local body = handle:body()
  if body == nil then return end
  local text
  if patch then
    text = spliced(body, splices)
  else
    text = undecided(body:getBytes(0, body:length()), model)
  end
  if text then body:setBytes(text) end
  -- The headers from before the body was waited for must not be used any more.
  handle:headers():replace('content-length', tostring(body:length()))
end
