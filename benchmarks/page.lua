-- The same page again and again, as a browser asks for it that takes answers in the encoding given.
function init(args)
  if args[2] then wrk.headers["Accept-Encoding"] = args[2] end
end

local refused = 0
function response(status)
  if status ~= 200 then refused = refused + 1 end
end

function done(summary, latency)
  io.write(string.format("RESULT %f %f %d\n", summary.requests / summary.duration * 1e6,
    latency:percentile(99) / 1000, refused + summary.errors.connect + summary.errors.read +
    summary.errors.write + summary.errors.timeout))
end
