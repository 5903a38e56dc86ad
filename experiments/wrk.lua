-- Sends the pictures of a folder in turn, and prints the result as one line of JSON.
--   wrk ... -s wrk.lua URL -- FOLDER COUNT

local requests, turn = {}, 0

function init(arguments)
  for number = 0, tonumber(arguments[2]) - 1 do
    local file = assert(io.open(arguments[1] .. "/" .. number .. ".png", "rb"))
    local headers = { ["Content-Type"] = "image/png" }
    requests[number + 1] = wrk.format("POST", "/predict", headers, file:read("*a"))
    file:close()
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency)
  local errors = summary.errors
  local lost = errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format(
    '{"requests": %d, "seconds": %.6f, "refused": %d, "lost": %d, ',
    summary.requests, summary.duration / 1e6, errors.status, lost))
  io.write(string.format(
    '"p50_ms": %.3f, "p99_ms": %.3f, "longest_ms": %.3f}\n',
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3))
end
