"""Faults that the simulated CXone injects, as `cxroute simulate --faults SPEC` names them.

    SPEC  = RULE *("," RULE)                     the first rule that applies decides
    RULE  = [METHOD] [RESOURCE] ":" FAULT ["=" ARGUMENT] ["@" WHEN]
    METHOD    GET | POST | PUT | DELETE | *      default: any
    RESOURCE  token | discovery | rules | rule | queues | script | context
                     `rules` is the list and create, `rule` is a single rule, `script` is each call for scripts,
                     `context` is each write to a conversation: its context, custom fields or a signal; default: any
    WHEN    0.1      with that probability, drawn from the seed
            #3       the third request that matches METHOD and RESOURCE; #3-5: the third to fifth; #3-: from the third
            0s-60s   from second 0 to second 60 after the first request of all
                     default: always
    FAULT   one of these names:

Responses that replace the real one. The request is not processed; with the suffix "-applied" it is:
    NNN              a status from 400 to 599, with an error body; 429=VALUE sets Retry-After (`none`: absent; `date`)
    html[=STATUS]    a web page; empty[=STATUS]: no body; shape: JSON of another shape; nan: JSON with NaN
    deep[=LEVELS]    nested lists; gzip[=MB]: a small body that unpacks to so many MB; huge[=MB]: a body of so many MB
    redirect[=STATUS]        to another host
    reset, timeout, refuse   no response: the connection is reset, stays silent, is not opened (over HTTP: reset)
Real responses that are corrupted:
    cut              half of the body, then the connection closes; half: half of the body as if it were complete
    drip[=SECONDS]   one byte at a time; no-id: without ids; other: a rule with another priority than the stored one
    duplicate        the page has its first rule twice; missing: the page lacks its last rule
    shift[=BY]       pages from the second on start BY later (negative: earlier), as if a rule had been deleted
    empty-list       no entities, total 0; cycle: nextUri leads to page 1; other-host: nextUri leads to another host
    stale[=CHANGES]  a GET returns the rules as they were so many changes ago
Changes just before a real response:
    revoke           all tokens become invalid
    edit, remove, clone   another user changes, deletes or copies the request's rule, or a random one
    altered[=FIELD]  the server stores another value: description (joined into one line), name, priority, enabled
    late[=K]         no response; the request is processed just before the K-th request after it

    POST rules:500-applied@0.1,GET:reset@#3,*:503@0s-60s,PUT rule:429=1000000000@#1
"""
