import assert from "node:assert/strict";
import { test } from "node:test";

import { connect, follow } from "../src/index.ts";

// A poll's first page of the inbox has a snapshot, events, and the cursor behind them.
for (const events of [0, 2]) {
  test(`no cursor is given before what it covers: a first page with ${events} events`, async () => {
    const page = {
      events: [1, 2].slice(0, events).map((seq) => ({ conversation_id: "room", seq, type: "message", text: "" })),
      receipts: [],
      cursor: "behind",
      more: false,
      snapshot: { conversations: [{ id: "room", last_seq: 2 }], receipts: [], more: false },
    };
    const body = JSON.stringify(page);
    const holdline = connect({
      server: "http://server",
      fetch: async () => new Response(body, { headers: { "Content-Type": "application/json" } }),
    });
    const cursors: (string | undefined)[] = [];
    for await (const item of follow(holdline, { transport: "poll", from: "start" })) {
      cursors.push("cursor" in item ? item.cursor : undefined);
      if (cursors.length > events) {
        break;
      }
    }
    assert.deepEqual(cursors, events === 0 ? ["behind"] : [undefined, undefined, "behind"]);
  });
}
