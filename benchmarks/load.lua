-- Sends prepared requests in turn, from a random start; with a rate, each connection waits an exponential time before its next one.
-- Arguments: file of requests (lines "METHOD<TAB>PATH<TAB>AUTHORIZATION<TAB>BODY"), mean pause of a connection in ms (0: none), seed.
local requests, place, pause = {}, 0, 0

function init(args)
  for line in io.lines(args[1]) do
    local method, path, authorization, body = line:match("^([^\t]*)\t([^\t]*)\t([^\t]*)\t(.*)$")
    local headers = {}
    if authorization ~= "" then
      headers["Authorization"] = authorization
    end
    if body == "" then
      requests[#requests + 1] = wrk.format(method, path, headers)
    else
      headers["Content-Type"] = "application/json"
      requests[#requests + 1] = wrk.format(method, path, headers, body)
    end
  end
  pause = tonumber(args[2])
  math.randomseed(tonumber(args[3]))
  place = math.random(#requests)
  if pause > 0 then
    -- only then: a delay of zero would cost a turn of wrk's loop per request
    delay = function()
      return math.floor(-pause * math.log(1 - math.random()) + math.random())
    end
  end
end

function request()
  place = place % #requests + 1
  return requests[place]
end

function done(summary, latency, _)
  local faults = summary.errors
  io.write(string.format(
    'RESULT {"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, "max": %d, "status_errors": %d, "socket_errors": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max, faults.status,
    faults.connect + faults.read + faults.write + faults.timeout))
end
