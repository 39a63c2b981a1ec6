import assert from "node:assert/strict";
import { test } from "node:test";

import type { Taken } from "../src/connection.ts";
import { Feed, maxText, maxWaiting } from "../src/feed.ts";

const message = (seq: number, text: string): Taken => ({ kind: "event", event: { conversation_id: "a", seq, type: "message", text }, cursor: undefined });

test("so many items wait and no more, fewer if they are long", async () => {
  for (const [length, most] of [[10, maxWaiting], [16 << 10, maxText / (16 << 10)]] as const) {
    const feed = new Feed("leader", new Map());
    const text = "x".repeat(length);
    for (let n = 0; n < 3 * most; n++) {
      feed.push(message(n, text)); // as fast as they are taken
      assert.equal((await feed.next(undefined))?.kind, "event");
    }
    for (let n = 0; n < most; n++) {
      feed.push(message(n, text));
      assert.ok(!feed.over, `it is over after ${n} of ${length}`);
    }
    feed.push(message(most, text));
    assert.ok(feed.over, `it is not over after ${most} of ${length}`);
    assert.equal(await feed.next(undefined), undefined);
  }
});
