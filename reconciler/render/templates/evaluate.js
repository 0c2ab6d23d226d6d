"use strict";
// Routes a conversation through a list of rules, as behaviour/evaluate.py and checks/explain.py do (semantics
// "Evaluation"). A value is a text, a number, or a BigInt for an integer that a number cannot hold: JavaScript compares
// numbers and BigInts exactly. A conversation is a Map without missing attributes.
const evaluator = (() => {
  const NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;
  const MOST_BOUNDS = 100;
  const isNumeral = text => NUMBER.test(text), isText = value => typeof value === "string";
  const isNumber = value => typeof value === "number" || typeof value === "bigint";
  const canonical = value => typeof value === "boolean" ? String(value) : value;

  // Returns the number of a text in JSON's grammar; NaN for other texts and larger numbers.
  function parseNumber(text) {
    if (text.length > 400 || !isNumeral(text)) { return NaN; }
    const number = Number(text);
    if (/[.eE]/.test(text)) { return Number.isFinite(number) ? number : NaN; }
    return Number.isSafeInteger(number) ? number : BigInt(text);
  }

  // Returns a number in decimals without an exponent, as the endpoint stores it in a text.
  function decimal(value) {
    const [, sign, whole, part = "", power] = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(value));
    const digits = whole + part, point = whole.length + Number(power);
    if (!power) { return String(value); }
    return sign + (point > 0 ? digits.padEnd(point, "0") : `0.${"0".repeat(-point)}${digits}`);
  }

  // With the flag u a pair of surrogates is one character: no text begins or ends inside it.
  function hasText(before, text, after) {
    const pattern = new RegExp(before + text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&") + after, "u");
    return value => isText(value) && pattern.test(value);
  }
  // By name: the kind, the operator that a negative one denies, and the test of a value for an operand.
  const OPERATORS = {};
  const isRange = ({kind}) => kind === "bound" || kind === "interval";
  const namesValues = ({kind}) => kind === "equality" || kind === "set";

  // Reads a value of the page's data: {"big": "123"} is an integer, {"object": {...}} is an object.
  function decode(value) {
    if (Array.isArray(value)) { return value.map(decode); }
    if (value === null || typeof value !== "object") { return value; }
    if (value.big) { return BigInt(value.big); }
    return Object.fromEntries(Object.entries(value.object).map(([name, part]) => [name, decode(part)]));
  }

  // Returns a condition; `holds` is null if cxroute does not understand the condition.
  function readCondition(attribute, operator, encoded, index) {
    const value = decode(encoded);
    if (operator === null) { return {index, attribute: null, operator, kind: null, json: value, holds: null}; }
    const {kind, denies} = OPERATORS[operator], hasValue = kind !== "existence";
    const json = {type: "attribute", attributeName: attribute, operator, ...hasValue && {value}};
    const isNegative = denies !== "";
    const asNumber = text => isRange({kind}) && isText(text) ? parseNumber(text) : canonical(text);
    const operand = Array.isArray(value) ? value.map(asNumber) : asNumber(value);
    const test = OPERATORS[denies || operator].test(operand);
    const holds = given => given === undefined ? operator === "notExists" : test(given) !== isNegative;
    return {index, attribute, operator, kind, isNegative, operand, json, holds};
  }

  // Returns a conversation: booleans are texts, null is missing.
  function eventOf(attributes) {
    const present = Object.entries(attributes).filter(([, value]) => value !== null && value !== undefined);
    return new Map(present.map(([name, value]) => [name, canonical(value)]));
  }

  // `nameAt` returns the name of a rule whose data have none.
  function create(data, nameAt) {
    const {intent, confidence} = data;
    const conditions = data.conditions.map(([attribute, operator, value], index) =>
      readCondition(operator && data.attributes[attribute][0], operator, value, index));
    const rules = data.rules.map(([name, priority, parts, destination, sides, isOn, file, line, column], index) => ({
      index, name: name ?? nameAt(index), priority: decode(priority), destination, conditions: parts.map(part => conditions[part]),
      sides, isOn,
      source: file === null ? null : {file: data.files[file][0], line, column},
      link: file === null || !data.files[file][1] ? "" : `${data.files[file][1]}${line}`,
    }));
    const sides = data.sides.map((side, at) => ({
      ...side, known: new Set(side.known), rules: rules.filter(({sides}) => data.times ? sides[0] <= at && at <= sides[1] : sides.includes(at)),
    }));

    // Returns what the rules read after an event, and why the endpoint replaced the intent.
    function readContext(side, event) {
      const values = new Map(event), given = event.get(confidence);
      let fallback = null;
      if (side.fallback !== null && event.has(intent)) {
        const isSure = isNumber(given) && given >= side.minConfidence;
        fallback = side.known.size && !side.known.has(event.get(intent)) ? "unknown" : isSure ? null : "unsure";
        if (fallback) { values.set(intent, side.fallback); }
      }
      for (const name of side.texts) {
        if (isNumber(values.get(name))) { values.set(name, decimal(values.get(name))); }
      }
      return {values, fallback};
    }

    // Returns the route of an event through rules in order, and the reasons.
    function explain(side, event, ordered = side.rules) {
      const {values, fallback} = readContext(side, event), results = new Int8Array(conditions.length);
      const holds = part => {
        if (!results[part.index]) { results[part.index] = part.holds && part.holds(values.get(part.attribute)) ? 1 : 2; }
        return results[part.index] === 1;
      };
      const answer = {values, fallback, winner: null, passed: [], undecided: [], next: null, tied: [], switchedOff: []};
      for (const rule of ordered) {
        const {winner} = answer, failed = rule.conditions.find(part => !holds(part));
        if (!rule.isOn) {
          if (!failed && !winner) { answer.switchedOff.push(rule); }
        } else if (!winner) {
          if (failed) { answer.passed.push(describeNonMatch(rule, failed, holds)); } else { answer.winner = rule; }
        } else if (rule.priority == winner.priority || !answer.next) {
          if (failed) { continue; }
          answer.next = answer.next || rule;
          if (rule.priority == winner.priority && rule.destination !== winner.destination) { answer.tied.push(rule); }
        } else { break; }
      }
      answer.undecided = answer.passed.filter(each => each.condition.holds === null);
      return answer;
    }
    // A different intent is the most useful reason.
    function describeNonMatch(rule, failed, holds) {
      const other = rule.conditions.find(part => part.attribute === intent && !holds(part));
      return {rule, condition: other || failed, otherIntent: Boolean(other) && other.kind !== "existence"};
    }
    const destinationOf = rule => rule ? data.destinations[rule.destination][0] : {default: true};
    const nameOf = rule => rule ? rule.name : null;
    const reasonOf = ({rule, condition}) => ({rule: rule.name, condition: condition.json, source: rule.source});
    // Returns the answer in the forms of `cxroute explain --format json`.
    function route(attributes, side) {
      const answer = explain(side, eventOf(attributes));
      const {winner, undecided, next} = answer, destination = destinationOf(winner);
      const otherwise = {winner: nameOf(winner), destination};
      return {
        ...(undecided.length ? {rule: null, destination: null, otherwise} : {rule: nameOf(winner), destination}),
        reasons: answer.passed.map(reasonOf), undecided: undecided.map(reasonOf),
        context: Object.fromEntries(answer.values), fallback: answer.fallback,
        next: {rule: nameOf(next), destination: destinationOf(next)},
        tied: answer.tied.map(nameOf), switchedOff: answer.switchedOff.map(nameOf),
      };
    }

    // Returns the rules of a side that may take an event with a high, a low or no confidence.
    function candidates(event, side) {
      const contexts = [new Map(event).set(confidence, 1), event].map(tried => readContext(side, tried).values);
      const mayHold = (part, values) => part.attribute === confidence || !part.holds || part.holds(values.get(part.attribute));
      return side.rules.filter(rule => contexts.some(values => rule.conditions.every(part => mayHold(part, values))));
    }
    // Returns the confidences from 0 to 1 at which an answer of a side may change; null if they are not known.
    function boundsOf(side, ordered) {
      const parts = ordered.flatMap(rule => rule.conditions).filter(part => part.attribute === confidence);
      if (side.texts.includes(confidence) && parts.some(part => part.kind === "pattern")) { return null; }
      const numbers = parts.flatMap(part => part.operand).map(value => isText(value) ? parseNumber(value) : value);
      if (side.fallback !== null) { numbers.push(side.minConfidence); }
      return numbers.filter(value => value >= 0 && value <= 1).map(Number);
    }

    // Returns the parts of 0 to 1 with one answer of each side, in order; null if their bounds are too many or not known.
    function confidenceRanges(event, compared) {
      const ordered = compared.map(side => candidates(event, side));
      const found = compared.map((side, at) => boundsOf(side, ordered[at]));
      if (found.includes(null)) { return null; }
      const bounds = [...new Set([0, 1, ...found.flat()])].sort((first, second) => first - second);
      if (bounds.length > MOST_BOUNDS) { return null; }
      const ranges = [];
      const keyOf = ({winner, undecided, tied}) =>
        [...undecided.map(each => each.rule), winner, ...tied].map(rule => rule ? rule.index : "none").join();
      function add(value, low, high, hasEnds) {
        const given = new Map(event).set(confidence, value), last = ranges[ranges.length - 1];
        const answers = compared.map((side, at) => explain(side, given, ordered[at]));
        const key = answers.map(keyOf).join(";");
        if (last?.key === key) { Object.assign(last, {high, hasHigh: hasEnds}); } else {
          ranges.push({key, answers, low, hasLow: hasEnds, high, hasHigh: hasEnds});
        }
      }
      bounds.forEach((bound, at) => {
        const next = bounds[at + 1], middle = (bound + next) / 2;
        add(bound, bound, bound, true);
        if (bound < middle && middle < next) { add(middle, bound, next, false); }
      });
      return ranges;
    }

    // The effects of a change: sets of events, each with a row that moves them.
    const named = (data.named || []).map(parts => parts.map(part => conditions[part]));
    const readRow = ([where, earlier, before, after]) => ({
      where: where.map(part => ({condition: conditions[part < 0 ? ~part : part], isNegative: part < 0})),
      earlier, before, after,
    });
    // Yields the earlier rules of a row; `earlier` has the first of each range, and its length.
    function* earlierRules({earlier}) {
      for (let at = 0; at < earlier.length; at += 2) {
        for (let number = earlier[at]; number < earlier[at] + earlier[at + 1]; number += 1) { yield named[number]; }
      }
    }
    const effects = (data.effects || []).map(([files, rows, unwritten]) => ({
      files, rows: rows.map(readRow), unwritten: unwritten.map(readRow),
    }));

    // Returns whether a condition holds; null if cxroute does not understand it.
    const truthOf = (condition, values) => condition.holds && condition.holds(values.get(condition.attribute));
    // Returns the conjunction of truths, of which some may be null.
    const every = truths => truths.includes(false) ? false : truths.includes(null) ? null : true;
    // Returns whether an event is in a row; null if that depends on what cxroute does not understand.
    function isInside(row, event) {
      const where = every(row.where.map(({condition, isNegative}) => {
        const truth = truthOf(condition, event);
        return truth === null ? null : truth !== isNegative;
      }));
      if (where === false) { return false; }
      let isKnown = where === true;
      for (const rule of earlierRules(row)) {
        const taken = every(rule.map(condition => truthOf(condition, event)));
        if (taken) { return false; }
        if (taken === null) { isKnown = false; }
      }
      return isKnown || null;
    }
    // Returns an event as the analysis sees it; null if a value has another type than the analysis knows.
    function analysed(event) {
      const stored = new Map(event);
      for (const [name, mayBeText, isStored, bounds] of data.types || []) {
        const value = stored.get(name), [least, most] = bounds || [];
        if (value === undefined) { continue; }
        if (isStored && isNumber(value)) { stored.set(name, decimal(value)); continue; }
        const isInBounds = bounds && value >= (least ?? -Infinity) && value <= (most ?? Infinity);
        if (!(isText(value) ? mayBeText : isInBounds)) { return null; }
      }
      return stored;
    }
    // Returns the row that has an event and the number of its effect; null without one.
    function effectOf(event) {
      const stored = analysed(event);
      for (const [number, {rows, unwritten}] of stored ? effects.entries() : []) {
        const row = [...rows, ...unwritten].find(each => isInside(each, stored));
        if (row) { return {effect: number, row}; }
      }
      return null;
    }
    // Returns the intents that an earlier rule of a row takes whatever else an event has.
    const takenIntents = new Map();
    function takenBefore(row) {
      const key = row.earlier.join();
      if (!takenIntents.has(key)) {
        const whole = [...earlierRules(row)].filter(([first, ...more]) =>
          first && !more.length && first.attribute === intent && namesValues(first) && !first.isNegative);
        takenIntents.set(key, new Set(whole.flatMap(([{operand}]) => operand)));
      }
      return takenIntents.get(key);
    }
    // Returns whether a row may have events with this intent.
    function mayHaveIntent(row, value) {
      const isPossible = row.where.every(({condition, isNegative}) =>
        condition.attribute !== intent || condition.holds(value) !== isNegative);
      return isPossible && !takenBefore(row).has(value);
    }
    // Returns those of some intents that a row may have: where it lists intents, no others are tried.
    function intentsOf(row, intents) {
      const list = row.where.find(({condition, isNegative}) =>
        condition.attribute === intent && !isNegative && namesValues(condition) && !condition.isNegative);
      const tried = list ? [list.condition.operand].flat() : intents;
      return tried.filter(value => isText(value) && mayHaveIntent(row, value));
    }

    return {intent, rules, conditions, sides, effects, explain, route, confidenceRanges, effectOf, mayHaveIntent, intentsOf};
  }

  return {create, decode, eventOf, isNumeral, isRange, isText, namesValues, parseNumber};
})();
