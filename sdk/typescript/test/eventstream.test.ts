import assert from "node:assert/strict";
import { test } from "node:test";

import { FrameParser, type Frame } from "../src/eventstream.ts";

const stream =
  "\uFEFFretry: 1500\r\nevent: heartbeat\r\ndata: {}\r\n\r\n" +
  ": a comment\n" +
  "event: message\ndata: one\ndata:two\nid: 2-k7q\n\n" +
  "id: alone\n\n" +
  "data\rid:3\r\r" +
  "unknown: field\ndata:  two spaces\nid: with\0null\nretry: soon\n\n" +
  "event: message\ndata: cut off\nid: 9";

const want: Frame[] = [
  { event: "heartbeat", data: "{}", id: undefined },
  { event: "message", data: "one\ntwo", id: "2-k7q" },
  { event: "message", data: "", id: "3" },
  { event: "message", data: " two spaces", id: undefined },
];

test("frames are the same wherever the stream is cut", () => {
  for (let cut = 0; cut <= stream.length; cut++) {
    const parser = new FrameParser();
    const got = [...parser.push(stream.slice(0, cut)), ...parser.push(stream.slice(cut))];
    assert.deepEqual(got, want, `cut at ${cut}`);
    assert.equal(parser.retry, 1500);
  }
  const parser = new FrameParser();
  assert.deepEqual(Array.from(stream).flatMap((c) => parser.push(c)), want, "one by one");
});

test("a long line that comes in small pieces takes time by its length", () => {
  const text = `event: snapshot\ndata: ${"x".repeat(3 << 20)}\n\n`; // as long as an inbox's first connect can be
  const parser = new FrameParser();
  const since = performance.now();
  const frames: Frame[] = [];
  for (let at = 0; at < text.length; at += 512) {
    frames.push(...parser.push(text.slice(at, at + 512)));
  }
  assert.equal(frames[0]!.data.length, 3 << 20);
  assert.ok(performance.now() - since < 3000, `${Math.round(performance.now() - since)} ms`);
});

test("a piece of no text changes nothing", () => {
  const parser = new FrameParser();
  const frames = ["data: x\r", "", "\nid: 7\r", "", "\n\r", "", "\n"].flatMap((piece) => parser.push(piece));
  assert.deepEqual(frames, [{ event: "message", data: "x", id: "7" }]);
});
