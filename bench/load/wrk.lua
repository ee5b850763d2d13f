-- Sends what the environment says and prints one JSON object at the end.
local body = os.getenv("BENCH_BODY_FILE")
wrk.path = os.getenv("BENCH_PATH")
wrk.method = os.getenv("BENCH_METHOD") or "GET"
if body then
  local file = io.open(body, "rb")
  wrk.body = file:read("*a")
  file:close()
  wrk.headers["Content-Type"] = "application/json"
end
wrk.headers["Authorization"] = "Bearer bench-0123456789abcdef"
wrk.headers["User-Agent"] = "ratelord-bench"
wrk.headers["Accept"] = "*/*"

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"duration_us":%d,"failed":%d,"p50":%d,"p90":%d,"p99":%d,"max":%d}\n',
    summary.requests, summary.duration,
    e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(90), latency:percentile(99), latency.max))
end
