-- Runs on responses, behind the filter that reads token counts. We asked the backend for a chunk
-- with the usage, the client did not: it has no choices, and `chunk.choices[0]` is what clients do.
local find, sub = string.find, string.sub

-- Returns `text` without the event that has usage and no choices; nil when there is none whole.
local function without_usage(text)
  local place = find(text, '"choices":%s*%[%s*%]')
  if place == nil then return nil end
  local first, from = 1, 1
  while true do
    local _, stop = find(text, '\r?\n\r?\n', from)
    if stop == nil then return nil end
    if stop > place then
      if not find(sub(text, first, stop), '"usage":%s*{') then return nil end
      return sub(text, 1, first - 1) .. sub(text, stop + 1)
    end
    first, from = stop + 1, stop + 1
  end
end

function envoy_on_response(handle)
  local decision = handle:streamInfo():dynamicMetadata():get('pointsman.decision')
  if decision == nil or decision.usage ~= 'hidden' then return end
  local headers = handle:headers()
  if not find(headers:get('content-type') or '', '^text/event%-stream') then return end
  -- A stream of a length known beforehand cannot lose a part.
  if headers:get('content-length') ~= nil then return end
  for chunk in handle:bodyChunks() do
    local text = without_usage(chunk:getBytes(0, chunk:length()))
    if text then chunk:setBytes(text) end
  end
end
