import assert from "node:assert/strict";
import { test } from "node:test";

import { follow, type Receipt, type Snapshot } from "../src/index.ts";
import { answeredBy, json } from "./answers.ts";

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
    const { holdline } = answeredBy(() => json(page));
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

// Receipts alone keep no cursor back: the snapshot has them, so who keeps its cursor and stops there misses none.
test("the receipts of a first page are in its snapshot, as it is given with the cursor behind them", async () => {
  const receipt = (user_id: string, read_seq: number): Receipt => ({ conversation_id: "room", user_id, delivered_seq: 2, read_seq });
  const page = {
    events: [],
    receipts: [receipt("v", 2), receipt("w", 2)],
    cursor: "behind",
    more: false,
    snapshot: { conversations: [{ id: "room", last_seq: 2 }], receipts: [receipt("u", 1), receipt("v", 1)], more: false },
  };
  const { holdline } = answeredBy(() => json(page));
  let snapshot: Snapshot | undefined;
  let cursor: string | undefined;
  const receipts: Receipt[] = [];
  for await (const item of follow(holdline, { transport: "poll" })) {
    if (item.kind === "snapshot") {
      ({ snapshot, cursor } = item);
    } else if (item.kind === "receipt" && receipts.push(item.receipt) === 2) {
      break;
    }
  }
  assert.equal(cursor, "behind");
  assert.deepEqual(snapshot?.receipts, [receipt("u", 1), receipt("v", 2), receipt("w", 2)]);
  assert.deepEqual(receipts, page.receipts);
});
