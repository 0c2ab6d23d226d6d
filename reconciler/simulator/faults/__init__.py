"""What can go wrong, how it is asked for, and the injector that makes it so: `FaultInjector(spec, seed)`.

    SPEC  = RULE *("," RULE)                     the first rule that fires decides
    RULE  = [METHOD] [WHAT] ":" FAULT ["=" ARGUMENT] ["@" WHEN]
    METHOD  GET | POST | PUT | PATCH | DELETE | *        absent: any
    WHAT    token | discovery | rules | rule | queues | context
                     `rules` is the list and create, `rule` a single one, `context` whatever is written of a
                     conversation: its context, custom fields, a signal; absent: any
    WHEN    0.1      with that probability, drawn from the seed
            #3       the third request that METHOD and WHAT match; #3-5: the third to fifth; #3-: from the third on
            0s-60s   from second 0 to second 60 after the first request of all
                     absent: always
    FAULT   one of these names:

Answers in the place of the real one. The request was not done; with "-applied" behind the name it was:
    NNN              any status from 400 to 599, with an error body; 429=VALUE sets Retry-After (`none`: absent; `date`)
    html[=STATUS]    a web page; empty[=STATUS]: no body; shape: JSON that is no answer; nan: JSON with NaN
    deep[=LEVELS]    nested lists; gzip[=MB]: a small body that unpacks to so much; huge[=MB]: a body of so much
    redirect[=STATUS]        to another host
    reset, timeout, refuse   no answer: the connection is reset, nothing comes, no connection is made (over HTTP: reset)
The real answer, spoilt on its way:
    cut              half the body, then the connection closes; half: half the body, as if it were all
    drip[=SECONDS]   a byte at a time; no-id: without ids; other: a rule of another priority than is stored
    duplicate        the page has its first rule twice; missing: it lacks its last
    shift[=BY]       pages from the second on begin BY later (negative: earlier), as if a rule had gone meanwhile
    empty-list       no entities, total 0; cycle: nextUri leads to page 1; other-host: nextUri leads elsewhere
    stale[=CHANGES]  a GET sees the rules as they were so many changes ago
Something happens meanwhile, and then the request is answered:
    revoke           all tokens so far are worthless
    edit, remove, clone   somebody changes, deletes, copies the request's rule, or else one by lot
    altered[=FIELD]  the server stores another value than was sent: description (made one line), name, priority, enabled
    late[=K]         no answer; the request is done just before the K-th one after it

    POST rules:500-applied@0.1,GET:reset@#3,*:503@0s-60s,PUT rule:429=1000000000@#1
"""
