-- The action `serin` of haproxy.cfg: asks Serin for the user of a request, by their cookie or header.

local url = os.getenv("SERIN_URL")
local token = os.getenv("SERIN_TOKEN")

-- The headers that a user may be found in; the address says which of them is looked at.
local forwarded = {"cookie", "x-user-id"}

core.register_action("serin", {"http-req"}, function(txn)
    local sent = txn.http:req_get_headers()
    local headers = {authorization = {"Bearer " .. token}}
    for _, name in ipairs(forwarded) do
        if sent[name] then
            -- Values count from 0 here, and from 1 where they are sent.
            local values = {}
            for at = 0, #sent[name] do
                values[at + 1] = sent[name][at]
            end
            headers[name] = values
        end
    end
    local answer = core.httpclient():get{url = url, headers = headers, timeout = 250}
    if answer and (answer.status == 200 or answer.status == 204) then
        for _, name in ipairs({"label", "receipt"}) do
            local value = answer.headers["x-serin-" .. name]
            if value then
                txn:set_var("txn.serin_" .. name, value[0])
            end
        end
    end
end)
