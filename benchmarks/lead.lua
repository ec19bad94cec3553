-- One lead after another, each from another person, so that none is taken for a repetition.
local thread_number = 0
function setup(thread)
  thread:set("number", thread_number)
  thread_number = thread_number + 1
end

local count = 0
function request()
  count = count + 1
  local person = number .. "x" .. count .. "x" .. run
  local body = '{"firstName":"Anna","lastName":"Bergström","email":"anna.' .. person .. '@example.com",' ..
    '"phone":"+4670' .. string.format("%07d", (offset + count) % 10000000) .. '","message":"Hej! Vi funderar på att sälja ' ..
    'vår lägenhet på Storgatan 12 och undrar när ni kan komma förbi. Hälsningar, Anna",' ..
    '"pageUrl":"https://agency.example/kontakt?utm_source=google&utm_medium=cpc&gclid=Cj0KCQ",' ..
    '"language":"sv","marketing":{"referrer":"https://agency.example/kontakt","utmTags":[' ..
    '{"name":"utm_source","value":"google"},{"name":"utm_medium","value":"cpc"},' ..
    '{"name":"utm_campaign","value":"host"}]}}'
  -- Visitors come from many addresses, by way of a proxy: from one of them so many would look like a program.
  local from = string.format("10.%d.%d.%d", count / 65536 % 256, count / 256 % 256, count % 256)
  return wrk.format("POST", nil, { ["Content-Type"] = "application/json", ["X-Forwarded-For"] = from }, body)
end

function init(args)
  run = args[1] or "0"
  math.randomseed(tonumber(run:sub(-9)) or 0)
  offset = math.random(0, 9999999)
end

local refused = 0
function response(status)
  if status ~= 202 then refused = refused + 1 end
end

function done(summary, latency)
  io.write(string.format("RESULT %f %f %d\n", summary.requests / summary.duration * 1e6,
    latency:percentile(99) / 1000, summary.errors.status + summary.errors.connect + summary.errors.read +
    summary.errors.write + summary.errors.timeout))
end
