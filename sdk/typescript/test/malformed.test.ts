import assert from "node:assert/strict";
import { test } from "node:test";

import { Follower, MalformedError, type FollowOptions, type State } from "../src/index.ts";
import { answeredBy, frame, json, jsonText, openStream, stream } from "./answers.ts";

const backoff = { first: 1, most: 2, mostAsked: 2 };

const c = "room";
const message = (seq: number) => ({ conversation_id: c, seq, type: "message", text: `text ${seq}` });

/** Event 2 as no contract has it, by the word that tells what is wrong with it. */
const strange: Record<string, unknown> = {
  text: { ...message(2), text: { parts: ["text 2"] } },
  yesterday: { ...message(2), accepted_at: "yesterday" },
  members: { ...message(2), members: ["ann", 7] },
  seq: { ...message(2), seq: "2" },
};

const heartbeat = frame("heartbeat", {});

interface Asked {
  url: URL;
  signal: AbortSignal;
  n: number;
  streams: boolean;
}

/** What following gives up to an event's seq, and what has ended it. */
async function follow(answer: (asked: Asked) => Response, options: FollowOptions, upTo = 3) {
  const { holdline, asked } = answeredBy((url, init, n) => answer({ url, signal: init.signal!, n, streams: url.pathname.endsWith("/stream") }));
  const given: string[] = [];
  const waits: State[] = [];
  const stop = new AbortController();
  const patience = setTimeout(() => stop.abort(new Error(`no end after ${asked.length} requests and ${given}`)), 10_000);
  const onState = (state: State) => state.state === "reconnecting" && waits.push(state);
  try {
    for await (const item of new Follower(holdline, { timing: { backoff }, onState, signal: stop.signal, ...options })) {
      given.push(item.kind === "event" ? `message ${item.event.seq}` : item.kind);
      if (item.kind === "event" && item.event.seq >= upTo) {
        break;
      }
    }
    return { given, asked, waits, error: undefined };
  } catch (error) {
    return { given, asked, waits, error };
  } finally {
    clearTimeout(patience);
  }
}

function malformed(error: unknown): MalformedError {
  assert.ok(error instanceof MalformedError, String(error));
  return error;
}

/** Events 1 to 3 behind a place, of which the second is another. */
function among(odd: unknown, { url, signal, streams }: Asked): Response {
  const after = Number((url.searchParams.get("after") ?? url.searchParams.get("cursor") ?? "0").split("-")[0]);
  const events = [message(1), odd, message(3)].map((event, n) => ({ event, seq: n + 1 })).filter(({ seq }) => seq > after);
  return streams
    ? openStream(signal, heartbeat + events.map(({ event, seq }) => frame("message", event, `${seq}-epo`)).join(""))
    : json({ events: events.map(({ event }) => event), receipts: [], cursor: "3-epo", more: false });
}

const ways: FollowOptions[] = [
  { conversation: c, from: "start", transport: "stream" },
  { conversation: c, from: "start", transport: "poll" },
  { cursor: "1-epo", transport: "stream" },
  { cursor: "1-epo", positions: [[c, 1]], transport: "poll" },
];

for (const [name, odd] of Object.entries(strange)) {
  for (const options of ways) {
    test(`an event that cannot be read ends following with its place, and is passed over only when that is asked for: ${name}, ${JSON.stringify(options)}`, async () => {
      const { given, asked, waits, error } = await follow((asked) => among(odd, asked), options);
      assert.deepEqual(given, options.from ? ["message 1"] : []);
      const bad = malformed(error);
      const seq = name === "seq" ? undefined : 2;
      assert.deepEqual([bad.what, bad.conversation, bad.seq, bad.cursor], ["event", c, seq, "1-epo"]);
      assert.match(bad.message, new RegExp(name));
      assert.match(bad.message, /"1-epo"/);
      assert.equal(asked.length, 5);
      assert.ok(waits.length === 4 && waits.every((s) => s.state === "reconnecting" && s.error instanceof MalformedError), "it is told of meanwhile");
      if (seq !== undefined) {
        assert.match(bad.message, /"room" seq 2/);
        const { from, ...kept } = options;
        const on = await follow((asked) => among(odd, asked), { ...kept, cursor: bad.cursor!, positions: [[c, seq]] });
        assert.deepEqual([on.given, on.error], [["message 3"], undefined]);
      }
    });
  }
}

test("what was garbled on the way is asked for again, and comes right", async () => {
  const { given, error } = await follow(
    ({ n, signal }) => {
      const second = frame("message", n < 4 ? strange.text : message(2), "2-epo");
      return openStream(signal, heartbeat + (n === 0 ? frame("message", message(1), "1-epo") : "") + second);
    },
    { conversation: c, from: "start", transport: "stream" },
    2,
  );
  assert.deepEqual([given, error], [["message 1", "message 2"], undefined]);
});

test("an answer that was cut, and JSON that is somebody else's, end nothing", async () => {
  const cut = JSON.stringify({ events: [message(1), strange.text], receipts: [], cursor: "3-epo" }).slice(0, 99);
  for (const options of [{ conversation: c, from: "start" }, { conversation: c }, { from: "start" }] as const) {
    for (const body of [cut, "{}", "null"]) {
      const { given, error } = await follow(
        (asked) => {
          if (asked.n < 12) {
            return jsonText(body);
          }
          const messages = asked.url.pathname.endsWith("/messages");
          return messages ? json({ messages: [], cursor: "0-epo", more: false, first_seq: 1, last_seq: 0 }) : among(message(2), asked);
        },
        { ...options, transport: "poll" },
      );
      const begin = "from" in options ? [] : ["messages"];
      assert.deepEqual([given, error], [[...begin, "message 1", "message 2", "message 3"], undefined]);
    }
  }
});

const receipt = { conversation_id: c, user_id: "u", delivered_seq: 1, read_seq: "all" };

const others: { name: string; what: string; options: FollowOptions; frames?: string[]; body?: unknown }[] = [
  { name: "receipt", what: "receipt", options: { cursor: "c" }, frames: [frame("receipt", receipt)] },
  { name: "receipt that is no JSON", what: "receipt", options: { cursor: "c" }, frames: [frame("receipt", "<p>")] },
  { name: "snapshot", what: "snapshot", options: {}, frames: [frame("snapshot", { conversations: {} }, "c")] },
  { name: "snapshot with a strange message", what: "snapshot", options: {}, frames: [frame("snapshot", { conversations: [{ id: c, last_message: strange.text }] }, "c")] },
  { name: "heartbeat", what: "heartbeat", options: { conversation: c, cursor: "1-e" }, frames: [frame("heartbeat", { last_seq: "3" })] },
  { name: "ending", what: "ending", options: { cursor: "c" }, frames: [frame("end", { code: 7 })] },
  { name: "ending without a reason", what: "ending", options: { cursor: "c" }, frames: [frame("reset", {})] },
  { name: "no object", what: "event", options: { cursor: "c" }, frames: [frame("message", [1], "d")] },
  { name: "null", what: "event", options: { cursor: "c" }, frames: [frame("message", null, "d")] },
  { name: "no JSON", what: "event", options: { cursor: "c" }, frames: [frame("message", "<html>", "d")] },
  { name: "a seq and no conversation", what: "event", options: { cursor: "c" }, frames: [frame("message", { seq: 2, type: "message" }, "d")] },
  { name: "receipts", what: "answer", options: { cursor: "c", transport: "poll" }, body: { events: [], receipts: [receipt], cursor: "d" } },
  { name: "no place", what: "event", options: { cursor: "c", transport: "poll" }, body: { events: [{ type: "message" }], receipts: [], cursor: "d" } },
  { name: "messages", what: "answer", options: { conversation: c }, body: { messages: [{ seq: "2" }], cursor: "3-e" } },
  { name: "in a hole", what: "event", options: { conversation: c, cursor: "1-e" }, frames: [frame("message", message(3), "3-e")], body: { events: [strange.text], cursor: "2-e" } },
  { name: "of the hole", what: "answer", options: { conversation: c, cursor: "1-e" }, frames: [frame("message", message(3), "3-e")], body: { events: {}, cursor: "2-e" } },
];

for (const { name, what, options, frames, body } of others) {
  test(`whatever else cannot be read is told as well: ${name}`, async () => {
    const { given, asked, error } = await follow(
      ({ signal, streams }) => (streams ? openStream(signal, frames!.join("")) : json(body)),
      frames ? { transport: "stream", ...options } : options,
    );
    const bad = malformed(error);
    assert.deepEqual([given, bad.what, bad.cursor], [[], what, options.cursor]);
    assert.equal(asked.filter(({ pathname }) => !frames || pathname.endsWith("/stream")).length, 5);
  });
}

test("a frame without an end is not read for ever", async () => {
  const piece = new TextEncoder().encode("x".repeat(1 << 20));
  let read = 0;
  const { error } = await follow(
    () => {
      let begun = false;
      const body = new ReadableStream<Uint8Array>({
        pull: (controller) => {
          controller.enqueue(begun ? piece : new TextEncoder().encode(`${heartbeat}data: `));
          begun = true;
          read += piece.length;
        },
      });
      return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
    },
    { cursor: "c", transport: "stream" },
  );
  assert.equal(malformed(error).what, "frame");
  assert.ok(read < 6 * (70 << 20), `${read} bytes were read`);
});

test("a null is as if the field were absent, and a field that is not known is nobody's affair", async () => {
  const event = { ...message(2), text: null, reply_to: null, colour: { of: "it" } };
  const { given, error } = await follow((asked) => among(event, asked), { conversation: c, from: "start" });
  assert.deepEqual([given, error], [["message 1", "message 2", "message 3"], undefined]);
});

test("a frame of an unknown kind that is no entry of a log is passed over, whatever stands in it, and its id counts", async () => {
  const { given, asked, error } = await follow(
    ({ n, signal }) =>
      n === 0
        ? stream(heartbeat + frame("message", message(1), "1-epo") + frame("typing", { text: { of: "bob" } }, "1-epo2"))
        : openStream(signal, heartbeat + frame("message", message(2), "2-epo")),
    { conversation: c, from: "start", transport: "stream" },
    2,
  );
  assert.deepEqual([given, error], [["message 1", "message 2"], undefined]);
  assert.deepEqual(asked.map(({ searchParams }) => searchParams.get("after")), [null, "1-epo2"]);
});

// Only what follows one another is the same: what came right in between was an accident.
test("what is garbled now and then in a quiet conversation ends nothing", async () => {
  for (const transport of ["stream", "poll"] as const) {
    const { given, error } = await follow(
      ({ n, streams }) => {
        const odd = n % 4 !== 3;
        if (streams) {
          const second = n < 40 ? (odd ? [frame("heartbeat", { last_seq: "1" })] : []) : [frame("message", message(2), "2-epo")];
          return stream([heartbeat, ...second].join(""));
        }
        return json(n >= 40 ? { events: [message(2)], cursor: "2-epo" } : { events: odd ? {} : [], cursor: "1-epo" });
      },
      { conversation: c, cursor: "1-epo", transport },
      2,
    );
    assert.deepEqual([given, error], [["message 2"], undefined], transport);
  }
});

test("where streams are garbled from their beginning on, polls are tried", async () => {
  const { given, error } = await follow(
    (asked) => (asked.streams ? openStream(asked.signal, "event: heartbeat\ndata: {}}\n\n") : among(message(2), asked)),
    { conversation: c, cursor: "1-epo" },
  );
  assert.deepEqual([given, error], [["message 2", "message 3"], undefined]);
});
