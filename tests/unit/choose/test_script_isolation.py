"""What one call of a script leaves behind for the next one, or for other scripts: nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.choose.script.sandbox import Inputs, compile_script

pytestmark = pytest.mark.usefixtures("patient")

WELL_KNOWN = [
    "globalThis", "Object", "Object.prototype", "[].__proto__", "''.__proto__",
    "(1).__proto__", "true.__proto__", "Symbol.prototype", "Math", "JSON", "JSON.parse", "Date",
    "Date.prototype", "Map.prototype", "Set.prototype", "Array.from", "/x/.__proto__",
    "(() => 1).__proto__", "(function* () {}).__proto__", "(function* () {})().__proto__.__proto__",
    "(function* () {})().__proto__.__proto__.__proto__", "(async () => 1).__proto__",
    "(async () => 1)().__proto__", "(async function* () {})().__proto__.__proto__",
    "[][Symbol.iterator]().__proto__", "''[Symbol.iterator]().__proto__",
    "new Map().entries().__proto__", "new Set().values().__proto__",
    "caught(() => null.x).__proto__",
    "caught(() => (function f() { f() })()).__proto__", "caught(() => nope).__proto__",
    "caught(() => 'x'.repeat(-1)).__proto__", "caught(() => new Array(-1)).constructor",
    "[].map", "''.includes", "Date.now", "Math.random",
    "tag`x`", "tag`x`.raw", "(() => arguments)()", "p", "p.models", "p.body", "route", "seen",
    "new Date()",
    "Object.getOwnPropertyDescriptor(Map.prototype, 'size').get",
]  # fmt: skip
"""Everything that could be the same object in two calls."""

DEEDS = [
    "@.leak = 1",
    "'use strict'; @.leak = 1",
    "Object.defineProperty(@, 'leak', {value: 1, configurable: true})",
    "@.__proto__ = {leak: 1}",
    "Object.setPrototypeOf(@, {leak: 1})",
    "for (const k of Object.getOwnPropertyNames(@)) try { @[k] = 1 } catch (e) {}",
    "for (const k of Object.getOwnPropertyNames(@)) try { delete @[k] } catch (e) {}",
    "for (const k of Object.getOwnPropertySymbols(@)) try { @[k] = 1 } catch (e) {}",
    "@.toString = @.toJSON = @.valueOf = () => 'leak'",
    "Object.assign(@, {constructor: 1, length: 9, then: () => 1})",
    "@.push('leak')",
    "@.set('leak', 1)",
    "@.add('leak')",
    "@.setTime(1)",
    "Object.freeze(@)",
    "leak = @",
    "globalThis.leak = @",
    "this.leak = @",
    "var leak = @",
    "seen.push(@)",
    "count++",
]

WITNESS = """
  const tag = strings => strings, seen = [];
  let count = 0;
  const caught = f => { try { f() } catch (e) { return e } };
  const look = p => [count, typeof leak, seen.length, ...WELL.map(find => {
    const it = find(p);
    return [
      typeof it, typeof it.leak, it.length, Object.isFrozen(it),
      typeof Object.getPrototypeOf(it)?.leak,
      Object.getOwnPropertyNames(it).length, Object.getOwnPropertySymbols(it).length,
    ];
  })];
"""


def witness(deeds):
    """A script that does ``deeds`` when the body says so, and else says what it sees."""
    well = ", ".join(f"p => {one}" for one in WELL_KNOWN if one != "route")
    done = "\n".join(f"caught(() => {{ {deed} }});" for deed in deeds)
    return compile_script(
        WITNESS.replace("WELL", f"[{well}]")
        + f"function route(p) {{ if (!p.body.hostile) return look(p); {done} return 'done' }}"
    )


hostile_deeds = st.builds(
    lambda target, deed: deed.replace("@", f"({target})"),
    st.sampled_from(WELL_KNOWN),
    st.sampled_from(DEEDS),
)
PEACEFUL = Inputs(1.5e12, 7, '{"hostile": false}', "{}", '[{"a": 1}]', "{}")
HOSTILE = PEACEFUL._replace(body='{"hostile": true}')


@settings(deadline=None, max_examples=60)
@given(st.lists(hostile_deeds, min_size=1, max_size=6))
def test_a_call_leaves_nothing_behind(deeds):
    script = witness(deeds)

    before = script(PEACEFUL)
    for _ in range(2):
        script(HOSTILE)

    assert before.error is None, before
    assert script(PEACEFUL) == before


@pytest.mark.parametrize("target", WELL_KNOWN)
def test_no_deed_on_anything_that_is_shared_leaves_anything_behind(target):
    script = witness([deed.replace("@", f"({target})") for deed in DEEDS])

    before = script(PEACEFUL)
    script(HOSTILE)

    assert before.error is None, before
    assert script(PEACEFUL) == before


def test_all_that_a_script_can_reach_from_the_start_is_frozen():
    script = compile_script("""const route = () => {
      const open = [], seen = new Set();
      const walk = (it, path) => {
        if (it === null || !['object', 'function'].includes(typeof it) || seen.has(it)) return;
        seen.add(it);
        if (!Object.isFrozen(it)) open.push(path);
        walk(Object.getPrototypeOf(it), path + '.__proto__');
        const names = Object.getOwnPropertyNames(it);
        for (const key of names.concat(Object.getOwnPropertySymbols(it))) {
          const found = Object.getOwnPropertyDescriptor(it, key);
          for (const kind of ['value', 'get', 'set']) walk(found[kind], path + '.' + String(key));
        }
      };
      walk(globalThis, 'globalThis');
      return [open, seen.size > 200];
    }""")

    assert script(PEACEFUL).value == [[], True]


def test_scripts_do_not_share_anything():
    one = compile_script("const route = () => { try { Math.leak = 1 } catch (e) {} return 1 }")
    other = compile_script("const route = () => typeof Math.leak")

    one(PEACEFUL)

    assert other(PEACEFUL).value == "undefined"


def test_promises_that_nobody_keeps_do_no_harm():
    script = compile_script("const route = () => { (async () => { await 1 })(); return 'ok' }")

    assert {script(PEACEFUL).value for _ in range(3000)} == {"ok"}
