// The page: reads a conversation from the form or the address, and shows its route. Texts of rules are only ever text.
(() => {
  const MOST_REASONS = 20, MOST_ROWS = 100, MOST_VALUES = 20, VIEWS = ["try", "rules", "queues", "promises"];
  const INVISIBLE = /[\p{C}\p{Zl}\p{Zp}\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\ufff0-\uffff]/gu;
  const byId = id => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent), rows = [...byId("rows").rows];
  const nameAt = at => rows[at].cells[0].firstChild.data.trim(), router = evaluator.create(data, nameAt);
  const columns = data.attributes.map(([name]) => name), titles = new Map(data.attributes);
  const labels = new Map(Object.entries(data.labels).map(([name, pairs]) => [name, new Map(pairs)]));
  const fields = [...document.querySelectorAll(".field")];
  const names = columns.filter(name => name !== data.intent && name !== data.confidence);
  const state = {view: "try", side: router.sides.length - 1, intent: "", confidence: "", extra: new Map(), find: "", queue: ""};
  let timer = 0, isQueuesStale = true;

  function element(tag, content = [], attributes = {}) {
    const made = document.createElement(tag);
    made.append(...[content].flat());
    Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
    return made;
  }
  const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
  const visible = text => text.replace(INVISIBLE, sign => `\\u{${sign.codePointAt(0).toString(16)}}`);
  const labelOf = (name, value) => (labels.get(name) || new Map()).get(String(value));
  const written = value => evaluator.isText(value) ? JSON.stringify(value) : String(value);
  const valueText = (name, value) => visible(evaluator.isText(value) && labelOf(name, value) || written(value));
  const quoted = (name, value) => evaluator.isText(value) && labelOf(name, value) ? JSON.stringify(valueText(name, value)) : valueText(name, value);
  const titleOf = name => name === data.intent ? "intent" : name === data.confidence ? "confidence" : visible(titles.get(name) || name);

  // Phrases of rules, from the cells of the table.
  const nameOf = rule => nameAt(rule.index);
  function conditionText(rule, part) {
    const column = part.holds === null ? columns.length : columns.indexOf(part.attribute);
    const cell = rows[rule.index].cells[column + 2];
    const alike = rule.conditions.filter(other => other.holds === null ? part.holds === null : other.attribute === part.attribute);
    const text = alike.length > 1 ? cell.children[alike.indexOf(part)].textContent : cell.textContent;
    return part.holds === null ? `a condition that cxroute does not understand: ${text}` : `${titleOf(part.attribute)} ${text}`;
  }
  const conditionsText = rule => rule.conditions.map(part => conditionText(rule, part)).join(" and ") || "every conversation";
  const conversationText = values =>
    [...values].map(([name, value]) => `${titleOf(name)} ${quoted(name, value)}`).join(", ") || "no attributes";
  const destinationOf = rule => rule ? data.destinations[rule.destination][1].replace(/ %/g, "\u00a0%") : "the tenant's default routing";
  const ruleLink = rule => element("a", nameOf(rule), {href: address({view: "rules", find: nameOf(rule), queue: ""})});
  const answerNodes = rule => [element("b", destinationOf(rule)), ...(rule ? [", by ", ruleLink(rule)] : [": no rule takes it"])];
  function place(rule) {
    const text = rows[rule.index].lastElementChild.textContent;
    return rule.link ? element("a", text, {href: rule.link, rel: "noreferrer"}) : text;
  }
  function table(heads, lines) {
    const head = element("tr", heads.map(text => element("th", text, {scope: "col"})));
    const body = lines.map(line => element("tr", line.map((cell, at) => element("td", cell, {"data-label": heads[at]}))));
    return element("table", [element("thead", head), element("tbody", body)], {class: "cards"});
  }

  // The value of a typed text, by the rule of `--attr`; undefined if it is missing. Throws an Error with the reason.
  function readValue(name, text) {
    for (const [value, label] of labels.get(name) || []) { if (text === label) { return value; } }
    if (text === "" || name === data.intent) { return text || undefined; }
    const number = evaluator.parseNumber(text);
    if (evaluator.isText(text) && !Number.isNaN(number)) { return number; }
    if (/^-?\d/.test(text) && Number.isFinite(Number.parseFloat(text)) && /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(text)) {
      throw new Error(`${titleOf(name)}: the number is too large; in quotes it is a text`);
    }
    if (!text.startsWith('"')) { return text; }
    try { return JSON.parse(text); } catch { throw new Error(`${titleOf(name)}: a text in quotes must end with a quote`); }
  }
  function readEvent() {
    const event = new Map();
    const set = (name, value) => { if (value !== undefined) { event.set(name, value); } };
    set(data.intent, readValue(data.intent, state.intent));
    if (state.confidence !== "") {
      const value = evaluator.parseNumber(state.confidence);
      if (!(value >= 0 && value <= 1)) { throw new Error("confidence: must be a number from 0 to 1, such as 0.8"); }
      set(data.confidence, value);
    }
    state.extra.forEach((text, name) => { set(name, name === data.intent ? JSON.parse(text) : readValue(name, text)); });
    return event;
  }

  function showAnswer() {
    const answer = byId("answer"), details = byId("details"), side = router.sides[state.side];
    details.replaceChildren();
    answer.classList.remove("error");
    try {
      const event = readEvent(), result = router.explain(side, event);
      answer.replaceChildren(...sentences(side, event, result));
      details.append(...reasons(result), ...confidences(event, side));
    } catch (error) {
      if (!(error instanceof Error) || error instanceof TypeError) { throw error; }
      answer.classList.add("error");
      answer.replaceChildren(element("p", error.message));
    }
  }

  function* sentences(side, event, {values, fallback, winner, undecided, tied, next, switchedOff}) {
    yield element("p", `By the rules (${side.name}), a conversation with ${conversationText(event)}`.replace(/\(the (.*?)\)/, "of the $1"));
    if (fallback) {
      const reason = fallback === "unknown" ? "the intent is in no Intents document"
        : `a confidence of at least ${side.minConfidence} is required`;
      yield element("p", `has ${conversationText(values)} after the endpoint's fallback (${reason}), and`);
    }
    if (undecided.length) {
      yield element("p", [undecided.length === 1 ? "depends on a condition" : "depends on conditions", " that cxroute does not understand:"]);
      yield element("ul", undecided.map(({rule, condition}) => element("li", [
        "if ", conditionText(rule, condition).replace(/^a condition.*?: /, ""), " holds, it goes to ", ...answerNodes(rule)])));
    }
    yield element("p", [undecided.length ? "Otherwise it goes to " : "goes to ", ...answerNodes(winner),
      ...tied.flatMap(rule => [", or to ", ...answerNodes(rule)]), "."], {class: "goes"});
    if (tied.length) {
      yield element("p", "These rules have the same priority, and the tenant's order of them is not defined: both answers are possible.");
    } else if (winner) {
      yield element("p", [`Without ${nameOf(winner)} it would go to `, ...answerNodes(next), "."]);
    }
    for (const rule of switchedOff) { yield element("p", [ruleLink(rule), " is switched off; it would take this conversation."]); }
  }

  function* reasons({passed, values}) {
    const near = passed.filter(each => !each.otherIntent), others = passed.filter(each => each.otherIntent);
    const why = ({rule, condition}) => {
      if (condition.holds === null) { return conditionText(rule, condition); }
      const value = values.get(condition.attribute);
      return `${conditionText(rule, condition)}, but it is ${value === undefined ? "missing" : quoted(condition.attribute, value)}`;
    };
    const list = part => table(["Earlier rule", "Why it does not take the conversation", "File"],
      part.map(each => [ruleLink(each.rule), why(each), place(each.rule)]));
    const fold = (text, part) => {
      const made = element("details", element("summary", text));
      made.addEventListener("toggle", () => { if (made.children.length === 1) { made.append(list(part)); } });
      return made;
    };
    if (near.length) { yield element("h3", "Why earlier rules do not take it"); yield list(near.slice(0, MOST_REASONS)); }
    const rest = near.slice(MOST_REASONS), one = others.length === 1;
    if (rest.length) { yield fold(`${count(rest.length, "further earlier rule")} ${rest.length === 1 ? "does" : "do"} not take it`, rest); }
    const kind = values.has(data.intent) ? one ? "is for another intent" : "are for other intents"
      : one ? "asks for an intent, and this conversation has none" : "ask for an intent, and this conversation has none";
    if (others.length) { yield fold(`${count(others.length, "earlier rule")} ${kind}`, others); }
  }

  function* confidences(event, side) {
    const tried = new Map(event);
    tried.delete(data.confidence);
    const ranges = router.confidenceRanges(tried, side);
    byId("marks").replaceChildren(...(ranges || []).slice(1).map(range => element("option", [], {value: range.low})));
    yield element("h3", "By confidence");
    if (!ranges) { yield element("p", "There are too many thresholds to list, or they are not known."); return; }
    const lines = [...ranges.map(range => [rangeText(range), range.answer]), ["without a confidence", router.explain(side, tried)]];
    yield element("ul", lines.map(([text, {winner, undecided, tied}]) => element("li", [`${text}: `,
      ...undecided.flatMap(({rule}) => [...answerNodes(rule), " (if its condition holds), otherwise "]),
      ...answerNodes(winner), ...tied.flatMap(rule => [", or ", ...answerNodes(rule)])])), {id: "ranges"});
  }
  function rangeText({low, hasLow, high, hasHigh}) {
    if (low === 0 && hasLow && high === 1 && hasHigh) { return "with any confidence"; }
    if (low === high) { return `at ${low}`; }
    if (low === 0 && hasLow) { return `${hasHigh ? "up to" : "below"} ${high}`; }
    if (high === 1 && hasHigh) { return `${hasLow ? "from" : "above"} ${low}`; }
    return `${hasLow ? "from" : "above"} ${low} ${hasHigh ? "to" : "to below"} ${high}`;
  }

  // Values to choose from: declared ones, and those that conditions name.
  const known = new Map();
  for (const [name, values] of Object.entries(data.values)) { known.set(name, new Set(values.map(evaluator.decode))); }
  for (const {attribute, operator, json} of router.conditions) {
    if (!/^(not)?(equals|in)$/i.test(operator || "")) { continue; }
    if (!known.has(attribute)) { known.set(attribute, new Set()); }
    [json.value].flat().forEach(value => known.get(attribute).add(value));
  }
  function suggest(input, name) {
    const words = input.value.toLowerCase(), options = [];
    for (const value of known.get(name) || []) {
      const label = labelOf(name, value), isPlain = name === data.intent || !evaluator.isText(value) || Number.isNaN(evaluator.parseNumber(value));
      const text = label || (isPlain ? String(value) : JSON.stringify(value));
      if (`${text} ${value}`.toLowerCase().includes(words)) {
        options.push(element("option", [], label ? {value: text, label: String(value)} : {value: text}));
      }
      if (options.length === MOST_VALUES) { break; }
    }
    input.list.replaceChildren(...options);
  }

  // The table of rules.
  const texts = [], heads = [...document.querySelectorAll("#table thead th")].map(head => head.textContent);
  function showRules() {
    const words = state.find.toLowerCase().split(/\s+/).filter(Boolean), side = router.sides[state.side];
    if (!texts.length) { for (const row of rows) { texts.push(row.textContent.toLowerCase()); } }
    const isShown = rule => words.every(word => texts[rule.index].includes(word))
      && (!state.queue || queuesOf(rule).some(([key]) => key === state.queue));
    const shown = new Set(side.rules.filter(isShown).map(rule => rule.index));
    let left = byId("all").dataset.all ? Infinity : MOST_ROWS;
    rows.forEach((row, at) => {
      row.hidden = !shown.has(at) || left-- <= 0;
      if (!row.hidden && !row.cells[0].dataset.label) { [...row.cells].forEach((cell, column) => { cell.dataset.label = heads[column]; }); }
    });
    byId("all").hidden = left > 0 || left === Infinity;
    byId("count").textContent = `${shown.size.toLocaleString("en")} of ${count(side.rules.length, "rule")}`;
  }
  function linkFiles() {
    router.rules.filter(rule => rule.link).forEach(rule => { rows[rule.index].lastElementChild.replaceChildren(place(rule)); });
  }

  // The queues, each with its rules.
  const NO_QUEUE = ["", "no queue"];
  function queuesOf(rule) {
    const {queues} = data.destinations[rule.destination][0];
    return queues.length ? queues.map(({queueId, queueName}) =>
      [queueId || queueName, queueName || `an unknown queue (${visible(queueId)})`]) : [NO_QUEUE];
  }
  function showQueues() {
    const side = router.sides[state.side], groups = new Map(), shares = side.shares && new Map(side.shares);
    side.rules.filter(rule => rule.isOn).forEach(rule => queuesOf(rule).forEach(([key, title]) => {
      if (!groups.has(key)) { groups.set(key, {title, rules: []}); }
      groups.get(key).rules.push(rule);
    }));
    const share = key => shares ? `, ${shares.get(key) || "0.0 %"} of callers` : "";
    const made = [...groups].sort(([, one], [, two]) => one.title < two.title ? -1 : 1).map(([key, {title, rules}]) => {
      const fold = element("details", element("summary", `${title}: ${count(rules.length, "rule")}${share(key)}`));
      fold.addEventListener("toggle", () => { if (fold.children.length === 1) { fold.append(...queueTable(key, rules)); } });
      return fold;
    });
    made.push(element("p", `The tenant's default routing gets what no rule takes${share(null)}.`));
    byId("queue-list").replaceChildren(...made);
    isQueuesStale = false;
  }
  function* queueTable(key, rules) {
    const hasShares = Boolean(router.sides[state.side].shares);
    const line = rule => [conditionsText(rule), ruleLink(rule), ...(hasShares ? [rows[rule.index].cells[rows[rule.index].cells.length - 2].textContent] : [])];
    yield table(["Callers", "Rule", ...(hasShares ? ["Share of callers"] : [])], rules.slice(0, MOST_ROWS).map(line));
    if (rules.length > MOST_ROWS) {
      yield element("p", element("a", `All ${count(rules.length, "rule")} of this queue`, {href: address({view: "rules", find: "", queue: key})}));
    }
  }

  // The address: everything after # is the state of the page.
  function address(changes = {}) {
    const now = {...state, ...changes}, query = new URLSearchParams();
    const put = (name, value) => { if (value) { query.append(name, value); } };
    put("view", now.view);
    if (router.sides.length > 1) { put("side", String(now.side)); }
    ["intent", "confidence", "find", "queue"].forEach(name => put(name, now[name]));
    now.extra.forEach((text, name) => { query.append("attr", `${encodeURIComponent(name.toWellFormed ? name.toWellFormed() : name)}=${text}`); });
    return `#${query}`;
  }
  function readAddress() {
    const query = new URLSearchParams(location.hash.slice(1)), text = name => query.get(name) || "";
    const side = Number(text("side") || router.sides.length - 1);
    state.view = VIEWS.includes(text("view")) ? text("view") : "try";
    state.side = router.sides[side] ? side : 0;
    ["intent", "confidence", "find", "queue"].forEach(name => { state[name] = text(name); });
    state.extra = new Map();
    for (const pair of query.getAll("attr")) {
      const [, name, value] = /^([^=]*)=([^]*)$/.exec(pair) || [];
      try { if (value) { state.extra.set(decodeURIComponent(name), value); } } catch { /* not an address of this page */ }
    }
    byId("intent").value = state.intent;
    fields.forEach((input, at) => { input.value = state.extra.get(names[at]) || ""; });
    byId("find").value = state.find;
    byId("confidence").value = state.confidence;
    show();
  }

  function show() {
    VIEWS.forEach(view => { byId(`view-${view}`).hidden = view !== state.view; });
    document.querySelectorAll("nav a").forEach(link => {
      link.href = address({view: link.dataset.view});
      link.toggleAttribute("aria-current", link.dataset.view === state.view);
      if (link.dataset.view === state.view) { link.setAttribute("aria-current", "page"); }
    });
    document.querySelectorAll("[name=side]").forEach(input => { input.checked = Number(input.value) === state.side; });
    document.querySelectorAll(".promises").forEach((part, at) => { part.hidden = at !== state.side; });
    const number = evaluator.parseNumber(state.confidence);
    byId("slider").value = number >= 0 && number <= 1 ? number : 0;
    byId("queue").value = state.queue;
    if (state.view === "try") { showAnswer(); }
    if (state.view === "rules") { showRules(); }
    if (state.view === "queues" && isQueuesStale) { showQueues(); }
    clearTimeout(timer);  // browsers limit how often an address changes
    timer = setTimeout(() => { if (location.hash !== address()) { history.replaceState(null, "", address()); } }, 200);
  }

  function listen(id, name, event = "input") {
    byId(id).addEventListener(event, () => { state[name] = byId(id).value; delete byId("all").dataset.all; show(); });
  }
  function withSuggestions(input, name) {
    ["focus", "input"].forEach(event => input.addEventListener(event, () => suggest(input, name)));
  }

  listen("intent", "intent");
  listen("confidence", "confidence");
  listen("find", "find");
  listen("queue", "queue", "change");
  withSuggestions(byId("intent"), data.intent);
  byId("slider").addEventListener("input", () => { byId("confidence").value = state.confidence = byId("slider").value; show(); });
  fields.forEach((input, at) => {
    withSuggestions(input, names[at]);
    input.addEventListener("input", () => {
      state.extra.delete(names[at]);
      if (input.value) { state.extra.set(names[at], input.value); }
      show();
    });
  });
  document.querySelectorAll("[name=side]").forEach(input => input.addEventListener("change", () => {
    state.side = Number(input.value);
    isQueuesStale = true;
    show();
  }));
  byId("clear").addEventListener("click", () => { location.hash = address({intent: "", confidence: "", extra: new Map()}); });
  byId("all").addEventListener("click", () => { byId("all").dataset.all = "yes"; showRules(); byId("find").focus(); });
  addEventListener("hashchange", readAddress);
  addEventListener("beforeprint", () => { if (state.view === "rules") { byId("all").dataset.all = "yes"; showRules(); } });
  const queues = new Map(router.rules.flatMap(queuesOf));
  [...queues].sort(([, one], [, two]) => one < two ? -1 : 1).forEach(([key, title]) => byId("queue").append(element("option", title, {value: key})));
  byId("views").hidden = byId("filter").hidden = false;
  byId("sides").hidden = router.sides.length < 2;
  byId("table").className = "cards";
  linkFiles();
  readAddress();

  const sideAt = at => router.sides[at === undefined ? state.side : at];
  window.cxroute = {
    route: (attributes, side) => router.route(attributes, sideAt(side)),
    confidences: (attributes, side) => router.confidenceRanges(evaluator.eventOf(attributes), sideAt(side)),
  };
})();
