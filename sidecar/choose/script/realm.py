"""The JavaScript that turns a fresh QuickJS context into the realm of one routing script.

Its value is `bind`: given the script as a factory of `route`, it returns what a call runs.
Three things make calls independent of each other: every object that two calls could share is
frozen, the factory makes the script's own variables anew, and inputs are parsed anew.

QuickJS asks for the time only after some thousand steps, and a native function is one step
however long it takes. So what could take long is taken away (regular expressions backtrack
without end), or pays for the size of what it works on out of a fixed budget per call.
"""

REALM = r"""
(function () {
"use strict";
const { apply, construct, ownKeys, getPrototypeOf, defineProperty } = Reflect;
const { freeze, getOwnPropertyDescriptor } = Object;
const { isArray } = Array;
const { parse, stringify } = JSON;
const { slice } = String.prototype;
const { imul } = Math;
const text = String;
const Native = Date;

const BUDGET = 2e7, MOST_TEXT = 65536, MOST_ERROR = 200;
const walked = ownKeys(globalThis).map(name => globalThis[name]);
let budget = Infinity, now = 0, seed = 0;

const charge = work => {
  budget -= work;
  if (!(budget >= 0)) throw new RangeError("too much work");
};
const size = value => typeof value === "string" || isArray(value) ? value.length : 8;
const total = values => {
  let sum = 8;
  for (let i = 0; i < values.length; i++) sum += size(values[i]);
  return sum;
};
const put = (owner, name, value) =>
  defineProperty(owner, name, { value, writable: true, configurable: true });
const keep = (owner, names) => {
  for (const name of ownKeys(owner)) if (!names.includes(name)) delete owner[name];
};

const array = value => {
  if (!isArray(value)) throw new TypeError("works on arrays only");
  return value;
};
const string = value => typeof value === "string" ? value : text(value);
const same = value => value;
const paying = (owner, names, receiver, weight) => {
  for (const name of names) {
    const native = owner[name];
    put(owner, name, { method(...values) {
      const self = receiver(this);
      charge((size(self) + total(values)) * weight);
      return apply(native, self, values);
    } }.method);
  }
};

paying(Array.prototype, [
  "concat", "copyWithin", "every", "fill", "find", "findIndex", "findLast", "findLastIndex",
  "filter", "forEach", "includes", "indexOf", "join", "lastIndexOf", "map", "reduce",
  "reduceRight", "reverse", "shift", "slice", "some", "splice", "unshift", "toLocaleString",
].filter(name => name in Array.prototype), array, 1);
paying(Array.prototype, ["sort"], array, 16);
const flatten = (list, depth, found) => {
  for (const item of list) {
    if (isArray(item) && depth > 0) flatten(item, depth - 1, found);
    else found.push(item);
  }
  return found;
};
put(Array.prototype, "flat", function (depth = 1) { return flatten(array(this), depth, []); });
put(Array.prototype, "flatMap", function (map, self) {
  return flatten(array(this).map(map, self), 1, []);
});
put(Array, "from", function (items, map, self) {
  if (items === undefined || items === null) throw new TypeError("not iterable");
  const found = [];
  if (typeof items[Symbol.iterator] === "function") for (const item of items) found.push(item);
  else for (let i = 0; i < items.length; i++) found.push(items[i]);
  return map === undefined ? found : found.map((item, i) => apply(map, self, [item, i]));
});

paying(String.prototype, [
  "concat", "endsWith", "localeCompare", "slice", "startsWith", "substr", "substring", "trim",
  "trimEnd", "trimStart",
], string, 1);
paying(String.prototype, ["normalize", "toLowerCase", "toUpperCase"], string, 16);
// The search compares at each place, at worst the whole of what is sought.
for (const [name, weight] of [["includes", 1], ["indexOf", 1], ["lastIndexOf", 1], ["replace", 1],
  ["split", 1], ["replaceAll", 16]]) {
  const native = String.prototype[name];
  put(String.prototype, name, { method(sought, ...values) {
    const self = string(this);
    charge(self.length * (weight + size(sought) / 8) + total(values));
    return apply(native, self, [sought, ...values]);
  } }.method);
}
for (const name of ["repeat", "padStart", "padEnd"]) {
  const native = String.prototype[name];
  put(String.prototype, name, { method(count, fill) {
    const self = string(this), times = +count;
    charge(name === "repeat" ? self.length * times : times > 0 ? times : 0);
    return apply(native, self, [times, fill]);
  } }.method);
}
put(String.prototype, "toLocaleLowerCase", String.prototype.toLowerCase);
put(String.prototype, "toLocaleUpperCase", String.prototype.toUpperCase);
put(String.prototype, "trimLeft", String.prototype.trimStart);
put(String.prototype, "trimRight", String.prototype.trimEnd);

const refuse = () => {
  throw new TypeError("regular expressions are not available: use includes, indexOf or split");
};
const Expression = getPrototypeOf(/x/);
for (const name of ["match", "matchAll", "search"]) put(String.prototype, name, refuse);
keep(Expression, []);
for (const name of ["exec", "test", "toString"]) put(Expression, name, refuse);
defineProperty(Expression, "flags", { get: refuse });
for (const name of ["match", "matchAll", "replace", "search", "split"])
  if (Symbol[name]) put(Expression, Symbol[name], refuse);

paying(JSON, ["parse", "stringify"], same, 4);
const bounded = (name, native, weight) => put(globalThis, name, (value, radix) => {
  const read = string(value);
  charge(read.length * weight);
  return native(read, radix);
});
for (const name of ["encodeURIComponent", "decodeURIComponent", "encodeURI", "decodeURI"])
  bounded(name, globalThis[name], 16);
for (const name of ["parseInt", "parseFloat"]) {
  bounded(name, globalThis[name], 8);
  put(Number, name, globalThis[name]);
}

// SplitMix32's finaliser over a Weyl sequence, as in Mulberry32 (Tommy Ettinger, 2017).
put(Math, "random", () => {
  seed = seed + 0x6D2B79F5 | 0;
  let z = imul(seed ^ seed >>> 15, 1 | seed);
  z = z + imul(z ^ z >>> 7, 61 | z) ^ z;
  return ((z ^ z >>> 14) >>> 0) / 4294967296;
});

// A text without a zone is UTC: the zone of this machine is no input of a decision.
const readDate = written => {
  charge(size(written) * 8);
  const utc = Native.parse(written + "Z");
  return utc === utc ? utc : Native.parse(written);
};
const Clock = function Date(...values) {
  if (!new.target) return new Native(now).toUTCString();
  const [first] = values;
  const time = values.length === 0 ? now
    : values.length > 1 ? Native.UTC(...values)
    : first instanceof Native ? first.getTime()
    : typeof first === "string" ? readDate(first) : +first;
  return construct(Native, [time], new.target);
};
const Dates = Native.prototype;
for (const name of ownKeys(Dates)) {
  if (typeof name !== "string") continue;
  const utc = name.slice(0, 3) + "UTC" + name.slice(3);
  if (utc in Dates) put(Dates, name, Dates[utc]);
}
put(Dates, "getTimezoneOffset", { method() { return 0; } }.method);
for (const name of ["toString", "toLocaleString"]) put(Dates, name, Dates.toUTCString);
for (const name of ["getYear", "setYear", "toDateString", "toTimeString", "toGMTString",
  "toLocaleDateString", "toLocaleTimeString"]) delete Dates[name];
Clock.prototype = Dates;
put(Dates, "constructor", Clock);
put(Clock, "now", () => now);
put(Clock, "UTC", Native.UTC);
put(Clock, "parse", written => readDate(string(written)));
// What a date turns into as a primitive comes from toString, which is UTC above.
put(globalThis, "Date", Clock);

// Reached by syntax alone; their constructors compile text, as `Function` does.
const kinds = [
  function () {}, function* () {}, async function () {}, async function* () {},
];
walked.push(
  ...kinds.map(getPrototypeOf), ...kinds.map(kind => kind.prototype), Expression, Dates,
  getPrototypeOf((function* () {})()), getPrototypeOf((async function* () {})()),
  getPrototypeOf([][Symbol.iterator]()), getPrototypeOf(new Map()[Symbol.iterator]()),
  getPrototypeOf(new Set()[Symbol.iterator]()), getPrototypeOf("x"[Symbol.iterator]()),
  getOwnPropertyDescriptor((function () { return arguments; })(), "callee").get,
);
for (const kind of kinds) delete getPrototypeOf(kind).constructor;
for (const kind of [BigInt, Promise]) keep(kind.prototype, []);
delete String.raw;
// Symbols that change what natives do (species, isConcatSpreadable, match, …) cannot be deleted.
const NativeSymbol = Symbol;
const Mark = function Symbol(name) { return NativeSymbol(name); };
for (const name of ["hasInstance", "iterator", "toPrimitive", "toStringTag"])
  put(Mark, name, NativeSymbol[name]);
Mark.prototype = NativeSymbol.prototype;
put(NativeSymbol.prototype, "constructor", Mark);
put(globalThis, "Symbol", Mark);
keep(globalThis, [
  "Array", "Boolean", "Date", "Error", "EvalError", "Infinity", "JSON", "Map", "Math", "NaN",
  "Number", "Object", "RangeError", "ReferenceError", "Set", "String", "Symbol", "SyntaxError",
  "TypeError", "URIError", "decodeURI", "decodeURIComponent", "encodeURI", "encodeURIComponent",
  "globalThis", "isFinite", "isNaN", "parseFloat", "parseInt", "undefined",
]);

const seen = new Set();
const harden = value => {
  if (value === null || typeof value !== "object" && typeof value !== "function") return;
  if (seen.has(value)) return;
  seen.add(value);
  freeze(value);
  harden(getPrototypeOf(value));
  for (const key of ownKeys(value)) {
    const property = getOwnPropertyDescriptor(value, key);
    harden(property.value);
    harden(property.get);
    harden(property.set);
  }
};
[globalThis, ...walked].forEach(harden);

const plain = getPrototypeOf(function () {});
const say = (said, stack = "") =>
  "!" + stringify([apply(slice, said, [0, MOST_ERROR]), apply(slice, stack, [0, MOST_ERROR])]);
const describe = error => {
  try {
    if (!(error instanceof Error)) return say("it threw " + text(error));
    return say(error.name + ": " + error.message, text(error.stack));
  } catch (_) {
    return say("it threw something that has no text");
  }
};
const answer = result => {
  if (result === undefined) return "=null";
  const written = stringify(result);
  if (written === undefined) return say("the result is no JSON");
  if (written.length > MOST_TEXT) return say("the result is over 64 KiB");
  return "=" + written;
};
const read = given =>
  given === null ? undefined : typeof given === "function" ? given() : parse(given);

return factory => (clock, chance, body, headers, models, metrics) => {
  budget = BUDGET;
  now = clock;
  seed = chance | 0;
  try {
    const route = factory();
    if (typeof route !== "function") return say("it defines no function `route`");
    if (getPrototypeOf(route) !== plain) return say("`route` must be a plain function");
    if (clock === null) return "=null";
    const request = read(body);
    if (request) delete request.router;
    return answer(route({
      body: request, request, headers: read(headers), models: read(models), metrics: read(metrics),
    }));
  } catch (error) {
    return describe(error);
  }
};
})()
"""
