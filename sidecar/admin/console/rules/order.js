// In which order routes decide, and what has to be written so that it is another one.
// Routes are tried by `order`, then by name; both as the sidecar compares them.

const DEFAULT_ORDER = 100;
const STEP = 10;
/** By how much a moved route counts less than one that nobody touched: only a tie is decided by it. */
const LESS = 1e-6;

export function orderOf(item) {
  const order = item.document.order;
  return typeof order === "number" ? order : DEFAULT_ORDER;
}

/** Sort documents as the sidecar asks them. */
export function inOrder(items) {
  return [...items].sort((a, b) => orderOf(a) - orderOf(b) || compareNames(a.name, b.name));
}

/** Return a copy in which the item at `from` stands at `to`. */
export function moved(items, from, to) {
  const rest = items.filter((_, place) => place !== from);
  return [...rest.slice(0, to), items[from], ...rest.slice(to)];
}

/**
 * Return {name: order} of the fewest routes that must change so that `wanted` is the order.
 * All others keep the number that somebody gave them. Where it could be one route or another,
 * it is one of `touched`, the names that somebody moved.
 */
export function changesFor(wanted, touched = new Set()) {
  const kept = mostKept(wanted, touched);
  const changes = {};
  let before = -1;
  for (const place of [...kept, wanted.length]) {
    const run = wanted.slice(before + 1, place);
    const orders = numbersBetween(wanted[before], wanted[place], run.length);
    run.forEach((item, index) => { changes[item.name] = orders[index]; });
    before = place;
  }
  return changes;
}

/** Return the places of the most items that can keep their numbers (longest chain). */
function mostKept(items, touched) {
  const length = [];
  const previous = [];
  items.forEach((item, place) => {
    const own = touched.has(item.name) ? 1 - LESS : 1;
    length[place] = own;
    previous[place] = -1;
    for (let earlier = 0; earlier < place; earlier += 1) {
      const longer = length[earlier] + own > length[place];
      if (longer && hasRoom(items[earlier], item, place - earlier - 1)) {
        length[place] = length[earlier] + own;
        previous[place] = earlier;
      }
    }
  });
  const chain = [];
  let place = length.indexOf(Math.max(0, ...length));
  for (; place >= 0 && place < items.length; place = previous[place]) chain.unshift(place);
  return chain;
}

function hasRoom(before, after, between) {
  const gap = orderOf(after) - orderOf(before);
  if (gap > 0) return between === 0 || new Set(numbersBetween(before, after, between)).size === between;
  return gap === 0 && between === 0 && compareNames(before.name, after.name) < 0;
}

/** Return `count` ascending numbers between two neighbours, either of which may be missing. */
function numbersBetween(before, after, count) {
  const places = Array.from({ length: count }, (_, index) => index + 1);
  if (!before && !after) return places.map((place) => place * STEP);
  if (!after) return places.map((place) => Math.floor(orderOf(before)) + place * STEP);
  if (!before) return places.map((place) => Math.ceil(orderOf(after)) - (count + 1 - place) * STEP);
  const low = orderOf(before);
  const step = (orderOf(after) - low) / (count + 1);
  return places.map((place) => shortest(low + step * place, step));
}

/** Round as far as the numbers beside it allow: people read and edit them. */
function shortest(number, step) {
  const digits = step > 1 ? 0 : Math.min(12, Math.ceil(-Math.log10(step)) + 1);
  return Number(number.toFixed(digits));
}

function compareNames(a, b) {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
