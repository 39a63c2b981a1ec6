import assert from "node:assert/strict";
import { test } from "node:test";

import type { Event } from "../src/client.ts";
import { Places } from "../src/places.ts";

const event = (seq: number, through_seq?: number): Event =>
  ({ conversation_id: "c", seq, type: through_seq ? "hidden" : "message", ...(through_seq ? { through_seq } : {}) });

test("a place is moved by the next event, and tells repeats and gaps", () => {
  const places = new Places();
  assert.equal(places.completeTo("c"), undefined);
  assert.deepEqual(places.step(event(7)), { kind: "next" }, "the first of an unknown conversation");
  places.took(event(7));
  assert.deepEqual(places.step(event(7)), { kind: "seen" });
  assert.deepEqual(places.step(event(3)), { kind: "seen" });
  assert.deepEqual(places.step(event(8)), { kind: "next" });
  assert.deepEqual(places.step(event(11)), { kind: "gap", from: 8, through: 10 });
  assert.deepEqual(places.step(event(5, 9)), { kind: "next" }, "a hidden stretch that goes on beyond");
  places.took(event(5, 9));
  assert.equal(places.completeTo("c"), 9);
  assert.deepEqual(places.step(event(8, 9)), { kind: "seen" });
  places.know("c", 2);
  assert.equal(places.completeTo("c"), 9, "never back");
  places.clear();
  assert.equal(places.completeTo("c"), undefined);
});
