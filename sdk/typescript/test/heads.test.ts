import assert from "node:assert/strict";
import { test } from "node:test";

import { Follower, type Acks, type FollowOptions } from "../src/index.ts";
import { answeredBy, frame, json, openStream } from "./answers.ts";

// A heartbeat of a conversation says how far its log has got.

const message = (seq: number) => ({ conversation_id: "room", seq, type: "message", text: "" });

type Frame = { head: number } | { event: number };

/** Follows a conversation whose stream brings some frames and then nothing, and whose log has five events; gives what is asked of the log. */
async function follow(frames: Frame[], count: number, options: FollowOptions = {}, log = [1, 2, 3, 4, 5]) {
  const asked: string[] = [];
  const { holdline } = answeredBy((url, init) => {
    const after = Number(url.searchParams.get("after"));
    if (url.pathname.endsWith("/events")) {
      asked.push(`${after}`);
      return json({ events: log.filter((seq) => seq > after).map(message), cursor: "5-e", more: false });
    }
    const text = frames.map((f) => ("head" in f ? frame("heartbeat", { last_seq: f.head }) : frame("message", message(f.event), `${f.event}-e`)));
    return openStream(init.signal!, text.join(""));
  });
  const stop = new AbortController();
  const patience = setTimeout(() => stop.abort(new Error(`nothing more comes after ${given}`)), 5000);
  const given: string[] = [];
  const follower = new Follower(holdline, { conversation: "room", cursor: "2-e", transport: "stream", signal: stop.signal, ...options });
  for await (const item of follower) {
    given.push(item.kind === "event" ? `${item.event.seq}` : item.kind === "missing" ? `missing ${item.from} to ${item.through}` : item.kind);
    if (given.length === count) {
      break;
    }
  }
  clearTimeout(patience);
  return { given, asked };
}

test("what a second heartbeat in a row tells of, and has not come, is fetched", async () => {
  const told: string[] = [];
  const acks = { delivered: (conversation: string, seq: number) => told.push(`${conversation} ${seq}`) } as unknown as Acks;
  const { given, asked } = await follow([{ head: 4 }, { head: 4 }, { event: 5 }], 3, { acks });
  assert.deepEqual([given, asked, told], [["3", "4", "5"], ["2"], ["room 4", "room 5"]]);
});

test("what is on its way at one heartbeat is waited for", async () => {
  const { given, asked } = await follow([{ head: 4 }, { event: 3 }, { event: 4 }, { head: 5 }, { event: 5 }], 3);
  assert.deepEqual([given, asked], [["3", "4", "5"], []]);
});

test("only what the first of two told is fetched: the rest may be on its way", async () => {
  const { given, asked } = await follow([{ head: 3 }, { head: 5 }, { event: 4 }, { event: 5 }], 3);
  assert.deepEqual([given, asked], [["3", "4", "5"], ["2"]]);
});

test("what the log does not have is missing", async () => {
  const { given } = await follow([{ head: 4 }, { head: 4 }, { event: 5 }], 3, {}, [3]);
  assert.deepEqual(given, ["3", "missing 4 to 4", "5"]);
});
