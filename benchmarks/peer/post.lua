-- wrk: POST the webhook's body with a key; answers are counted by status, and printed with the latencies at the end
local n = (os.time() % 1000000) * 1000000   -- fresh conversations in every run
local threads = {}
function setup(t) table.insert(threads, t) end
function init(args) bad = 0; ok = 0; last = 0 end
function request()
  n = n + 1
  local b = string.format('{"conversationId":"12345678-1234-1234-1234-%012d","intent":"billing_inquiry","confidence":0.93,"timestamp":"2024-06-01T00:00:00Z"}', n)
  return wrk.format("POST", "/api/route", {["Content-Type"] = "application/json", ["X-API-Key"] = "key-of-the-benchmark"}, b)
end
function response(s, h, body) if s == 200 then ok = ok + 1 else bad = bad + 1; last = s end end
function done(summary, latency, requests)
  local ok, bad, last = 0, 0, 0
  for _, t in ipairs(threads) do ok = ok + t:get("ok"); bad = bad + t:get("bad"); last = math.max(last, t:get("last")) end
  local e = summary.errors
  io.write(string.format('JSON{"ok":%d,"bad":%d,"last":%d,"lost":%d,"us":%d,"p50":%.0f,"p99":%.0f}\n', ok, bad, last,
    e.connect + e.read + e.write + e.timeout, summary.duration, latency:percentile(50), latency:percentile(99)))
end
