// The page: reads a conversation from the form or the address, and shows its route. Texts of rules are only ever text.
(() => {
  const MOST_REASONS = 20, MOST_ROWS = 100, MOST_VALUES = 20;
  // In the address: an empty text means all queues, and every queue's id and name has letters.
  const NO_QUEUE = " ", NO_RULE = "  ";
  const INVISIBLE = /[\p{C}\p{Zl}\p{Zp}\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\ufff0-\uffff]/gu;
  const {eventOf, isNumeral, isText, parseNumber} = evaluator;
  const byId = id => document.getElementById(id), all = query => [...document.querySelectorAll(query)];
  const data = JSON.parse(byId("data").textContent), rows = [...byId("rows").rows];
  const nameAt = at => rows[at].cells[0].firstChild.data.trim(), router = evaluator.create(data, nameAt);
  const columns = data.attributes.slice(0, data.columns).map(([name]) => name);
  const isChange = router.sides.length > 1 && !data.times, VIEWS = [...(data.effects ? ["changes"] : []), "try", "rules", "queues", "promises"];
  const titles = new Map([...data.attributes, [data.intent, "intent"], [data.confidence, "confidence"]]);
  const labels = new Map(data.labels.map(([name]) => [name, new Map()]));
  data.labels.forEach(([name, value, label]) => labels.get(name).set(value, label));
  const groupNames = new Map(data.groups.map(([name]) => [name, new Map()]));  // by attribute and value
  data.groups.forEach(([name, group, values]) => values.forEach(value => groupNames.get(name).set(value, group)));
  const others = columns.filter(name => name !== data.intent && name !== data.confidence);
  const fields = all(".field").map((input, at) => ({input, name: others[at]}));
  const FILTERS = data.effects ? ["change-queue", "change-intent", "change-file"] : [];
  const TEXTS = ["intent", "confidence", "find", "queue", ...FILTERS];  // each is a field, and a part of the state and the address
  const state = {view: VIEWS[0], side: 0, extra: new Map()};
  let timer = 0;
  // Of sides that follow each other in time, the chosen one alone answers.
  const shownSides = () => data.times ? [router.sides[state.side]] : router.sides;

  function element(tag, content = [], attributes = {}) {
    const made = document.createElement(tag);
    made.append(...[content].flat());
    Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
    return made;
  }
  // A part that is filled when a person opens it.
  function fold(summary, fill) {
    const made = element("details", element("summary", summary));
    made.addEventListener("toggle", () => { if (made.children.length === 1) { made.append(...fill()); } });
    return made;
  }
  function table(heads, lines) {
    const head = element("tr", heads.map(text => element("th", text, {scope: "col"})));
    const body = lines.map(line => element("tr", line.map((cell, at) => element("td", cell, {"data-label": heads[at]}))));
    return element("table", [element("thead", head), element("tbody", body)], {class: "cards"});
  }
  const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
  const visible = text => text.replace(INVISIBLE, sign => `\\u{${sign.codePointAt(0).toString(16)}}`);
  const labelOf = (name, value) => isText(value) ? labels.get(name)?.get(value) : undefined;
  const groupOf = (name, value) => isText(value) ? groupNames.get(name)?.get(value) : undefined;
  const valueText = (name, value) => visible(isText(value) ? JSON.stringify(labelOf(name, value) || value) : String(value));
  const wordsOf = text => text.toLowerCase().split(/\s+/).filter(Boolean);
  const titleOf = name => visible(titles.get(name) || name);

  // Phrases of rules, from the cells of the table.
  const nameOf = rule => nameAt(rule.index);
  const columnOf = part => part.holds === null ? columns.length : columns.indexOf(part.attribute);
  function conditionText(rule, part) {
    const isUnknown = part.holds === null, cell = rows[rule.index].cells[columnOf(part) + 2];
    const alike = rule.conditions.filter(other => other.attribute === part.attribute);
    const text = (alike.length > 1 ? cell.children[alike.indexOf(part)] : cell).textContent;
    return isUnknown ? `a condition that cxroute does not understand: ${text}` : `${titleOf(part.attribute)} ${text}`;
  }
  const conditionsText = rule => [...rule.conditions].sort((one, two) => columnOf(one) - columnOf(two))
    .map(part => conditionText(rule, part)).join(" and ") || "every conversation";
  const conversationText = values =>
    [...values].map(([name, value]) => `${titleOf(name)} ${valueText(name, value)}`).join(", ") || "no attributes";
  const ruleLink = rule => element("a", nameOf(rule), {href: address({view: "rules", find: nameOf(rule), queue: ""})});
  const DEFAULT_ROUTING = "the tenant's default routing";
  function answerNodes(rule) {
    if (!rule) { return [element("b", DEFAULT_ROUTING), ": no rule takes it"]; }
    const destination = data.destinations[rule.destination][1].replace(/ %/g, "\u00a0%");
    return [element("b", destination), ", by ", ruleLink(rule)];
  }
  function place(rule) {
    const text = rows[rule.index].lastElementChild.textContent;
    return rule.link ? element("a", text, {href: rule.link, rel: "noreferrer"}) : text;
  }

  // The value of a typed text, by the rule of `--attr`; undefined if it is missing. Throws a RangeError for other texts.
  // In a field of numbers a comma is a decimal point, unless it may separate thousands: 0,7 is 0.7, and 10,000 is a text.
  const named = (name, text) => [...labels.get(name) || []].find(([, label]) => label === text)?.[0];
  const readDecimal = text => text.trim().replace(/^(-?\d+),(\d+)$/, "$1.$2");
  const mayBeThousands = text => /^-?[1-9]\d{0,2},\d{3}$/.test(text.trim());
  function readValue(name, written) {
    if (named(name, written) !== undefined) { return named(name, written); }
    const text = isNumberField(name) && !mayBeThousands(written) ? readDecimal(written) : written;
    if (isNumeral(text)) {
      const number = parseNumber(text);
      if (Number.isNaN(number)) { throw new RangeError(`${titleOf(name)}: the number is too large; in quotes it is a text`); }
      return number;
    }
    if (!text.startsWith('"')) { return text; }
    try { return JSON.parse(text); } catch { throw new RangeError(`${titleOf(name)}: a text in quotes must end with a quote`); }
  }
  const readConfidence = () => parseNumber(readDecimal(state.confidence));
  function readEvent() {
    const number = readConfidence(), intent = named(data.intent, state.intent) || state.intent || undefined;
    if (state.confidence && !(number >= 0 && number <= 1)) { throw new RangeError("confidence: must be a number from 0 to 1, such as 0.7"); }
    const bot = [[data.intent, intent], [data.confidence, state.confidence ? number : undefined]];
    return eventOf(Object.fromEntries([...bot, ...[...state.extra].map(([name, text]) => [name, readValue(name, text)])]));
  }

  function showAnswer() {
    const put = (id, ...parts) => byId(id).replaceChildren(...parts);
    put("details");
    try {
      const event = readEvent(), results = shownSides().map(side => router.explain(side, event));
      const hint = "Choose an intent above. For a conversation without attributes, the answer is:";
      const said = isChange ? comparison(event, results) : [subject(`By ${shownSides()[0].name}`, event), ...answer(data.times ? state.side : 0, results[0])];
      put("answer", ...doubts(event), ...(event.size ? [] : [element("p", hint)]), ...said);
      put("details", ...confidences(event), ...allReasons(results));
    } catch (error) {
      if (!(error instanceof RangeError)) { throw error; }
      put("answer", element("p", error.message));
    }
  }
  const subject = (source, event) =>
    element("p", `${source ? `${source}, a` : "A"} conversation with ${conversationText(event)}`);

  // What rules do not know is as large as the answer, which would look right without it. "GOLD" is not "gold".
  function* doubts(event) {
    for (const [name, value] of event) {
      const what = `${titleOf(name)} ${valueText(name, value)}`;
      if (!titles.has(name)) {
        if (!hasUnknownConditions) { yield large(`No rule tests ${titleOf(name)}.`); }
      } else if (isText(value) && isNumberField(name)) {
        const hint = mayBeThousands(value) ? ` Its comma may separate thousands: write ${value.replace(",", "")}.` : "";
        yield large(`The ${what} is a text, not a number.${hint}`);
      } else if (isText(value) && isUnnamed(name, value)) {
        const near = suggest(name, value).slice(0, 3).map(option => visible(option.value)).filter(text => text !== value);
        yield large(`No rule names the ${what}.${near.length ? ` Did you mean: ${near.join(" | ")}` : ""}`);
      }
    }
  }
  const large = text => element("p", text, {class: "doubt"});

  // The answers today and afterwards, side by side.
  function comparison(event, results) {
    const columns = results.map((result, at) =>
      element("section", [element("h3", titleOfSide(router.sides[at])), ...answer(at, result)]));
    return [subject("", event), element("p", verdict(event, results), {class: "verdict"}),
      element("div", columns, {class: "answers"})];
  }
  const titleOfSide = ({name}) => name[0].toUpperCase() + name.slice(1);
  function verdict(event, results) {
    const winners = results.map(result => result.winner);
    if (results.some(({undecided, tied}) => undecided.length || tied.length)) { return "Each side has several possible answers."; }
    if (destinationAt(winners[0]) === destinationAt(winners[1])) {
      const names = winners.map(rule => rule && nameOf(rule));
      return `It goes to the same place today and after this change${names[0] === names[1] ? "" : ", by another rule"}.`;
    }
    const found = router.effectOf(event), changes = address({view: "changes", "change-queue": "", "change-intent": "", "change-file": ""});
    const cause = found && element("a", subjectOf(found.effect), {href: changes});
    return ["It moves", ...(cause ? [". The cause: ", cause] : []), "."];
  }
  const destinationAt = rule => rule ? rule.destination : -1;

  function* answer(at, {values, fallback, winner, undecided, tied, next, switchedOff}) {
    const side = router.sides[at];
    if (fallback) {
      const needed = `a confidence of at least ${side.minConfidence} is required`;
      const reason = fallback === "unknown" ? "the intent is in no Intents document" : needed;
      yield element("p", `has ${conversationText(values)} after the endpoint's fallback (${reason}), and`);
    }
    if (undecided.length) {
      yield element("p", "depends on what cxroute does not understand:");
      yield element("ul", undecided.map(({rule, condition}) =>
        element("li", [conditionText(rule, condition), ". If it holds, the conversation goes to ", ...answerNodes(rule)])));
    }
    const both = tied.flatMap(rule => [", or to ", ...answerNodes(rule)]);
    yield element("p", [undecided.length ? "Otherwise it goes to " : "goes to ", ...answerNodes(winner), ...both, "."], {class: "goes"});
    const tie = "The rules have the same priority, and the tenant's order of them is not defined: each answer is possible.";
    if (tied.length) { yield element("p", tie); }
    if (winner && !tied.length) { yield element("p", [`Without ${nameOf(winner)} it would go to `, ...answerNodes(next), "."]); }
    for (const rule of switchedOff) { yield element("p", [ruleLink(rule), " is switched off; it would take this conversation."]); }
  }

  // The reasons of each side, or once where they are equal.
  function* allReasons(results) {
    const split = results.map(({passed, values}) => {
      const near = passed.filter(each => !each.otherIntent), far = passed.filter(each => each.otherIntent);
      return {near, far, values};
    });
    for (const [suffix, {near, values}] of eachOrOnce(split, "near")) { yield* nearReasons(near, values, suffix); }
    for (const [suffix, {far, values}] of eachOrOnce(split, "far")) { yield* farReasons(far, values, suffix); }
  }
  function eachOrOnce(split, list) {
    const isAlike = split.length === 1 || areAlike(...split.map(each => each[list]), ...split.map(each => each.values));
    return isAlike ? [["", split[0]]] : split.map((each, at) => [`, ${router.sides[at].name}`, each]);
  }
  function areAlike(first, second, values, otherValues) {
    return first.length === second.length && first.every(({rule, condition}, at) => {
      const other = second[at], isSameRule = rule === other.rule || nameOf(rule) === nameOf(other.rule);
      const name = condition.attribute;
      return isSameRule && condition === other.condition && values.get(name) === otherValues.get(name);
    });
  }
  function reasonTable(list, values) {
    const why = ({rule, condition}) => {
      const value = values.get(condition.attribute), actual = value === undefined ? "missing" : valueText(condition.attribute, value);
      return `${conditionText(rule, condition)}${condition.holds === null ? "" : `, but it is ${actual}`}`;
    };
    return table(["Earlier rule", "Why it does not take the conversation", "File"],
      list.map(each => [ruleLink(each.rule), why(each), place(each.rule)]));
  }
  function* nearReasons(near, values, suffix) {
    const rest = near.slice(MOST_REASONS);
    if (!near.length) { return; }
    yield element("h3", `Why earlier rules do not take it${suffix}`);
    yield reasonTable(near.slice(0, MOST_REASONS), values);
    if (rest.length) {
      yield fold(`${count(rest.length, "further earlier rule")} that do not take it${suffix}`, () => [reasonTable(rest, values)]);
    }
  }
  function* farReasons(far, values, suffix) {
    const ask = far.length === 1 ? "asks" : "ask", are = far.length === 1 ? "is" : "are";
    const kind = values.has(data.intent) ? `${are} for other intents` : `${ask} for an intent, and this conversation has none`;
    if (far.length) { yield fold(`${count(far.length, "earlier rule")} ${kind}${suffix}`, () => [reasonTable(far, values)]); }
  }
  function* confidences(event) {
    const rest = new Map([...event].filter(([name]) => name !== data.confidence));
    const ranges = router.confidenceRanges(rest, shownSides());
    byId("marks").replaceChildren(...(ranges || []).slice(1).map(({low}) => element("option", [], {value: low})));
    yield element("h3", "By confidence");
    if (!ranges) { yield element("p", "There are too many thresholds to list, or they are not known."); return; }
    const missing = shownSides().map(side => router.explain(side, rest));
    const lines = [...ranges.map(range => [rangeText(range), range.answers]), ["without a confidence", missing]];
    if (!isChange) {
      yield element("ul", lines.map(([text, [only]]) => element("li", [`${text}: `, ...rangeAnswer(only)])), {id: "ranges"});
      return;
    }
    const cells = ([text, [today, after]]) => [text, rangeAnswer(today), isSame(today, after) ? "the same" : rangeAnswer(after)];
    const made = table(["Confidence", ...router.sides.map(titleOfSide)], lines.map(cells));
    made.id = "ranges";
    yield made;
  }
  const rangeAnswer = ({winner, undecided, tied}) => [
    ...undecided.flatMap(({rule}) => [...answerNodes(rule), " (if its condition holds), otherwise "]),
    ...answerNodes(winner), ...tied.flatMap(rule => [", or ", ...answerNodes(rule)])];
  function isSame(...results) {
    const keys = results.map(({winner, undecided, tied}) => [...undecided.map(({rule}) => rule), winner, ...tied]
      .map(rule => `${destinationAt(rule)} ${rule ? nameOf(rule) : ""}`).join("\n"));
    return keys[0] === keys[1];
  }
  function rangeText({low, hasLow, high, hasHigh}) {
    const isFirst = low === 0 && hasLow, isLast = high === 1 && hasHigh;
    if (low === high) { return `at ${low}`; }
    if (isFirst) { return isLast ? "with any confidence" : `${hasHigh ? "up to" : "below"} ${high}`; }
    return `${hasLow ? "from" : "above"} ${low}${isLast ? "" : ` ${hasHigh ? "to" : "to below"} ${high}`}`;
  }

  // What rules ask about an attribute: the values that they name, parts of texts, and bounds.
  const asked = new Map();
  for (const condition of new Set(router.rules.flatMap(rule => rule.conditions))) {
    const {attribute, kind, isNegative, operand} = condition;
    if (condition.holds === null) { continue; }
    if (!asked.has(attribute)) { asked.set(attribute, {values: new Set(), patterns: [], hasBounds: false}); }
    const about = asked.get(attribute);
    if (evaluator.namesValues(condition)) { [operand].flat().forEach(value => about.values.add(value)); }
    if (kind === "pattern") { about.patterns.push(text => condition.holds(text) !== isNegative); }
    if (evaluator.isRange(condition)) { about.hasBounds = true; }
  }
  const hasUnknownConditions = router.conditions.some(({holds}) => holds === null);
  // Rules compare the attribute with numbers alone.
  function isNumberField(name) {
    const about = asked.get(name);
    return Boolean(about?.hasBounds) && !about.patterns.length && ![...about.values].some(isText);
  }
  function isUnnamed(name, value) {
    const about = asked.get(name);
    const hasNames = about && (about.values.size || about.patterns.length);
    return hasNames && !about.values.has(value) && !about.patterns.some(matches => matches(value));
  }

  // Values to choose from: declared ones, and those that conditions name.
  const known = new Map();
  const offer = (name, values) => known.set(name, values.reduce((set, value) => set.add(value), known.get(name) || new Set()));
  Object.entries(data.values).forEach(([name, values]) => offer(name, values.map(evaluator.decode)));
  router.sides.forEach(side => offer(data.intent, [...side.known]));
  const listing = router.conditions.filter(evaluator.namesValues);
  listing.forEach(({attribute, json}) => offer(attribute, [json.value].flat()));
  function suggest(name, typed) {
    const words = wordsOf(typed), options = [];
    for (const value of known.get(name) || []) {
      const label = labelOf(name, value), needsQuotes = isText(value) && (isNumeral(value) || /^"|^$/.test(value));
      const text = label || (needsQuotes && name !== data.intent ? JSON.stringify(value) : String(value));
      const searched = `${text} ${value} ${groupOf(name, value) || ""}`.toLowerCase();
      if (!words.every(word => searched.includes(word))) { continue; }
      if (options.push(element("option", [], {value: text, ...label && {label: value}})) === MOST_VALUES) { break; }
    }
    return options;
  }

  // The table of rules: a row gets its link, and the labels for a narrow screen, when it is shown first.
  // Its text for a search has all values of its lists, by name, label and group: a cell may show fewer.
  const texts = [], heads = all("#table thead th").map(head => head.textContent);
  const listTexts = new Map(listing.map(part => [part, [part.json.value].flat().flatMap(value =>
    [value, labelOf(part.attribute, value) ?? "", groupOf(part.attribute, value) ?? ""]).join("\n")]));
  const searchText = rule =>
    [rows[rule.index].textContent, ...rule.conditions.map(part => listTexts.get(part) ?? "")].join("\n").toLowerCase();
  function showRules() {
    const words = wordsOf(state.find), side = router.sides[state.side];
    if (!texts.length) { texts.push(...router.rules.map(searchText)); }
    const shown = side.rules.filter(rule => words.every(word => texts[rule.index].includes(word))
      && (!state.queue || queuesOf(rule).some(([key]) => key === state.queue)));
    const first = new Set((state.all ? shown : shown.slice(0, MOST_ROWS)).map(rule => rows[rule.index]));
    rows.forEach(row => { row.hidden = !first.has(row); });
    for (const rule of shown) {
      const {cells} = rows[rule.index];
      if (rows[rule.index].hidden || cells[0].dataset.label) { continue; }
      [...cells].forEach((cell, at) => { cell.dataset.label = heads[at]; });
      cells[cells.length - 1].replaceChildren(place(rule));
    }
    byId("all").hidden = first.size === shown.length;
    byId("count").textContent = `${shown.length.toLocaleString("en")} of ${count(side.rules.length, "rule")}`;
  }

  // The effects of a change: a row is shown if it may have the queue, the intent and the file that a person chose.
  const articles = all("#effects > article"), lines = articles.map(article => [...article.querySelectorAll("tbody tr")]);
  const total = router.effects.reduce((sum, effect) => sum + effect.rows.length, 0);
  const keysOf = {
    "change-queue": (effect, row) => [row.before, row.after].flatMap(queuesAt).map(([key]) => key),
    "change-intent": (effect, row) => router.intentsOf(row, [...known.get(data.intent) || []]),
    "change-file": effect => effect.files.map(at => data.files[at][0]),
  };
  const isChosen = (name, effect, row) => name === "change-intent"
    ? router.mayHaveIntent(row, state[name]) : keysOf[name](effect, row).includes(state[name]);
  function showChanges() {
    const chosen = FILTERS.filter(name => state[name]);
    let effects = 0, moves = 0;
    router.effects.forEach((effect, at) => {
      const rows = effect.rows.map(row => chosen.every(name => isChosen(name, effect, row)));
      const shown = rows.filter(Boolean).length;
      const isFound = shown > 0 || !chosen.length;
      articles[at].hidden = !isFound || (!state.all && effects >= MOST_ROWS);
      rows.forEach((isShown, line) => { lines[at][line].hidden = !isShown; });
      articles[at].classList.toggle("filtered", shown < rows.length);
      effects += isFound;
      moves += shown;
    });
    all(".closing").forEach(part => { part.hidden = chosen.length > 0; });  // it is about everyone who is in no effect
    byId("all-changes").hidden = state.all || effects <= MOST_ROWS;
    byId("change-count").textContent =
      `${effects.toLocaleString("en")} of ${count(articles.length, "effect")}, ${moves.toLocaleString("en")} of ${count(total, "move")}`;
  }
  const subjectOf = at => articles[at].querySelector("code").textContent;
  // Each choice has the number of its rows.
  function fillFilters() {
    const titlesOf = {
      "change-queue": new Map(data.destinations.flatMap((_, at) => queuesAt(at))),
      "change-intent": new Map([...labels.get(data.intent) || []]),
      "change-file": new Map(),
    };
    for (const name of FILTERS) {
      const numbers = new Map();
      for (const effect of router.effects) {
        for (const key of effect.rows.flatMap(row => [...new Set(keysOf[name](effect, row))])) {
          numbers.set(key, (numbers.get(key) || 0) + 1);
        }
      }
      const choices = [...numbers].map(([key, number]) => [key, visible(titlesOf[name].get(key) || key), number]);
      choices.sort(([, one], [, two]) => one.localeCompare(two));
      byId(name).append(...choices.map(([key, title, number]) =>
        element("option", `${title} (${number.toLocaleString("en")})`, {value: key})));
    }
  }

  // The queues, each with its rules.
  const queuesOf = rule => queuesAt(rule.destination);
  function queuesAt(at) {
    const [{queues}, , titles] = data.destinations[at];
    if (!queues) { return [[NO_RULE, DEFAULT_ROUTING]]; }
    const parts = queues.map(({queueId, queueName}, number) => [queueId ?? queueName, titles[number]]);
    return parts.length ? parts : [[NO_QUEUE, "no queue"]];
  }
  function showQueues() {
    const side = router.sides[state.side], groups = new Map();
    const shares = side.shares && new Map(side.shares.map(([key, share]) => [key === "" ? NO_QUEUE : key, share]));
    for (const rule of side.rules) {
      for (const [key, title] of queuesOf(rule)) {
        if (!groups.has(key)) { groups.set(key, {title, rules: []}); }
        groups.get(key).rules.push(rule);
      }
    }
    const share = key => shares ? `, ${shares.get(key) || "0.0 %"} of callers` : "";
    const sorted = [...groups].sort(([, one], [, two]) => one.title.localeCompare(two.title));
    byId("queue-list").replaceChildren(
      ...sorted.map(([key, {title, rules}]) =>
        fold(`${title}: ${count(rules.length, "rule")}${share(key)}`, () => queueTable(key, rules, Boolean(shares)))),
      element("p", `The tenant's default routing gets what no rule takes${share(null)}.`));
  }
  function* queueTable(key, rules, hasShares) {
    const shareOf = rule => rows[rule.index].lastElementChild.previousElementSibling.textContent;
    const nameCell = rule => [ruleLink(rule), ...(rule.isOn ? [] : [" (switched off)"])];
    const line = rule => [conditionsText(rule), nameCell(rule), ...(hasShares ? [shareOf(rule)] : [])];
    yield table(["Callers", "Rule", ...(hasShares ? ["Share of callers"] : [])], rules.slice(0, MOST_ROWS).map(line));
    if (rules.length > MOST_ROWS) { yield element("p", `and ${count(rules.length - MOST_ROWS, "more rule")}`); }
    yield element("p", element("a", "Show them in the table", {href: address({view: "rules", find: "", queue: key})}));
  }

  // The address: everything after # is the state of the page.
  function address(changes = {}) {
    const now = {...state, ...changes}, query = new URLSearchParams({view: now.view, side: now.side});
    TEXTS.filter(name => now[name]).forEach(name => query.append(name, now[name]));
    if (now.at) { query.append("at", now.at); }
    now.extra.forEach((text, name) => query.append("attr", `${name.replace(/[%=]/g, encodeURIComponent)}=${text}`));
    return `#${query}`;
  }
  let readHash = "";  // the part of the address that the state was read from, or written to
  function readAddress() {
    readHash = location.hash;
    const query = new URLSearchParams(location.hash.slice(1)), last = router.sides.length - 1;
    const isConversation = ["intent", "confidence", "attr"].some(name => query.has(name));
    state.view = VIEWS.includes(query.get("view")) ? query.get("view") : isConversation ? "try" : VIEWS[0];
    state.side = query.get("side") === "0" ? 0 : last;
    if (data.times) { readTime(query); }
    TEXTS.forEach(name => { byId(name).value = state[name] = query.get(name) || ""; });
    for (const name of ["queue", ...FILTERS]) {  // a choice that this file lacks
      if (byId(name).selectedIndex < 0) { byId(name).value = state[name] = ""; }
    }
    const pairs = query.getAll("attr").map(text => /^([^=]*)=([^]+)$/.exec(text)).filter(Boolean);
    state.extra = new Map(pairs.map(([, name, text]) => [name.replace(/%(25|3D)/g, decodeURIComponent), text]));
    fields.forEach(({input, name}) => { input.value = state.extra.get(name) || ""; });
    show();
  }
  // Local times are compared as texts: each side has the least one that means a time in it.
  function sideAt(time) {
    const text = time.length === 16 ? `${time}:00` : time;
    return data.times.findLastIndex(([start]) => start <= text);
  }
  function readTime(query) {
    const text = query.get("at") || "", number = Number(query.get("side") || 0);
    state.at = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?$/.test(text) ? text : "";
    state.side = state.at ? sideAt(state.at) : data.times[number] ? number : 0;
  }
  function setTime(at, side) {
    state.at = at;
    set("side", side);
  }
  function show() {
    const number = readConfidence();
    VIEWS.forEach(view => { byId(`view-${view}`).hidden = view !== state.view; });
    all("nav a").forEach(link => {
      link.href = address({view: link.dataset.view});
      link.setAttribute("aria-current", link.dataset.view === state.view ? "page" : "false");
    });
    all("[name=side]").forEach(input => { input.checked = Number(input.value) === state.side; });
    byId("sides").hidden = !isChange || ["changes", "try"].includes(state.view);
    all(".promises").forEach((part, at) => { part.hidden = at !== state.side; });
    if (data.times) {
      if (byId("at").value !== state.at) { byId("at").value = state.at; }
      byId("when").value = String(state.side);
    }
    byId("slider").value = number >= 0 && number <= 1 ? number : 0;
    ({changes: showChanges, try: showAnswer, rules: showRules, queues: showQueues, promises: () => {}})[state.view]();
    clearTimeout(timer);  // browsers limit how often an address changes
    timer = setTimeout(keepAddress, 200);
  }
  // Between a step back and its event, the address is newer than the state: it must not be written over.
  const keepAddress = () => {
    if (location.hash !== readHash) { return; }
    history.replaceState(null, "", address());
    readHash = location.hash;
  };
  // The fields of intent and confidence replace what the address has for their attributes in `attr`.
  function set(name, value) {
    state[name] = value;
    state.all = name === "all";
    state.extra.delete(data[name]);
    show();
  }

  const on = (input, events, act) => events.split(" ").forEach(event => input.addEventListener(event, () => act(input.value)));
  TEXTS.forEach(name => on(byId(name), "input", value => set(name, value)));
  on(byId("slider"), "input", value => set("confidence", byId("confidence").value = value));
  all("[name=side]").forEach(input => on(input, "change", value => set("side", Number(value))));
  if (data.times) {
    on(byId("at"), "input", value => setTime(value, value ? sideAt(value) : 0));
    on(byId("when"), "change", value => setTime(data.times[Number(value)][0], Number(value)));
    byId("times").hidden = false;
  }
  fields.forEach(({input, name}) => on(input, "input", value => {
    state.extra.delete(name);
    set("extra", value ? state.extra.set(name, value) : state.extra);
  }));
  for (const {input, name} of [...fields, {input: byId("intent"), name: data.intent}]) {
    on(input, "focus input", text => input.list.replaceChildren(...suggest(name, text)));
  }
  on(byId("clear"), "click", () => { location.hash = address({intent: "", confidence: "", extra: new Map()}); });
  on(byId("all"), "click", () => { set("all", true); byId("find").focus(); });
  addEventListener("click", keepAddress, true);  // a link or a button may come before the timer
  addEventListener("hashchange", readAddress);
  if (data.effects) { on(byId("all-changes"), "click", () => { set("all", true); byId("change-queue").focus(); }); }
  addEventListener("beforeprint", () => { if (["rules", "changes"].includes(state.view)) { set("all", true); } });
  const choices = [...new Map(router.rules.flatMap(queuesOf))].sort(([, one], [, two]) => one.localeCompare(two));
  byId("queue").append(...choices.map(([key, title]) => element("option", title, {value: key})));
  byId("views").hidden = byId("filter").hidden = false;
  if (data.effects) {
    byId("change-filter").hidden = articles.length < 2;
    fillFilters();
  }
  byId("table").className = "cards";
  document.body.className = "ready";  // until then, for 2 s at most, the style hides what takes long to lay out
  readAddress();

  window.cxroute = {route: (attributes, side = state.side) => router.route(attributes, router.sides[side])};
})();
