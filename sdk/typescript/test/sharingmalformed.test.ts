import assert from "node:assert/strict";
import { test } from "node:test";

import { MalformedError, type Event } from "../src/index.ts";
import { Browser } from "./browser.ts";
import { FakeServer } from "./fakeserver.ts";
import { over, Page, pages, until } from "./sharedpage.ts";

// What pages that share are told of what the one that has the connection cannot read.

/** Garbles one event of a conversation, so many times. */
const garbling = (conversation: string, seq: number, times = Infinity) => {
  let left = times;
  return (event: Event) => (event.conversation_id === conversation && event.seq === seq && left-- > 0 ? { ...event, text: [event.text] } : event);
};

function told(all: Page[], seq: number | undefined, cursor: string): void {
  for (const { ended } of all) {
    assert.ok(ended instanceof MalformedError, String(ended));
    assert.deepEqual([ended.what, ended.conversation, ended.seq, ended.cursor], ["event", "a", seq, cursor]);
    assert.match(ended.message, /text is no string/);
  }
}

for (const everywhere of [true, false]) {
  test(`an event that cannot be read ends all pages, by one page's tries: garbled ${everywhere ? "everywhere" : "on streams alone"}`, async () => {
    const server = new FakeServer();
    server.onStreams = garbling("a", 2);
    server.inAnswers = everywhere ? garbling("a", 2) : server.inAnswers;
    const { browser, all } = await pages(4, server);
    const polls = server.polls;
    for (const conversation of ["b", "a", "a", "b"]) {
      server.say(conversation);
    }
    await until("they have ended", () => all.every((page) => page.ended !== undefined));
    told(all, 2, "1-2");
    assert.ok(all.every((page) => page.seen.join() === "b 1,a 1"));
    assert.deepEqual([server.opened, server.polls - polls], [5, 0], "streams and polls");
    await over(browser, server, all);
  });
}

test("a page that is slow is told once it has taken what came before, and nobody leads meanwhile", async () => {
  const server = new FakeServer();
  server.onStreams = garbling("a", 4);
  const { browser, all } = await pages(3, server);
  const [leader, slow] = all as [Page, Page];
  leader.hold();
  slow.hold();
  for (let n = 0; n < 5; n++) {
    server.say("a");
  }
  await until("the quick one has ended", () => all[2]!.ended !== undefined);
  await until("the lock is free", () => browser.holder() === undefined);
  assert.deepEqual([server.opened, browser.waiting()], [5, 0]);
  assert.deepEqual([leader.ended, slow.ended], [undefined, undefined]);
  leader.release();
  slow.release();
  await until("they have ended", () => all.every((page) => page.ended !== undefined));
  told(all, 4, "1-3");
  assert.ok(all.every((page) => page.seen.join() === "a 1,a 2,a 3"));
  assert.equal(server.opened, 5);
  await over(browser, server, all);
});

test("a page that has it already goes on, and leads", async () => {
  const server = new FakeServer();
  server.say("a");
  const { browser, all } = await pages(1, server);
  server.streamsTo = 1; // the leader's connection is slow
  server.say("a");
  const second = new Page(browser, server, { cursor: "1-1", positions: [["a", 1]] });
  await second.fed();
  await second.complete();
  server.onStreams = garbling("a", 2);
  server.streamsTo = Infinity;
  server.wake();
  await until("the first is told", () => all[0]!.ended !== undefined);
  told(all, 2, "1-1");
  await until("the second leads", () => browser.holder() === second.tab);
  server.say("a");
  await second.complete();
  await over(browser, server, [...all, second]);
});

test("a page that meets it in its own answers is told by itself", async () => {
  const server = new FakeServer();
  const { browser, all } = await pages(2, server);
  server.say("a");
  server.say("a");
  await Promise.all(all.map((page) => page.complete()));
  server.inAnswers = garbling("a", 2);
  const late = new Page(browser, server, { cursor: "1-0" });
  await until("it has ended", () => late.ended !== undefined);
  assert.deepEqual([late.seen.join(), late.polls, server.opened], ["a 1", 5, 1]);
  told([late], 2, "1-0");
  server.say("a");
  await Promise.all(all.map((page) => page.complete()));
  await over(browser, server, [...all, late]);
});

test("what is garbled for a moment is nobody's affair but the leader's", async () => {
  const server = new FakeServer();
  server.onStreams = garbling("a", 2, 3);
  const { browser, all } = await pages(3, server);
  const polls = server.polls;
  for (const conversation of ["a", "a", "a"]) {
    server.say(conversation);
  }
  await Promise.all(all.map((page) => page.complete()));
  assert.deepEqual([server.opened, server.polls - polls, browser.holder()], [4, 0, all[0]!.tab]);
  await over(browser, server, all);
});

test("a page that is the only one is told, too, also where nothing but heartbeats is garbled", async () => {
  const server = new FakeServer();
  server.heartbeat = "<p>";
  const browser = new Browser();
  const page = new Page(browser, server, { cursor: "1-0", transport: "stream" });
  await until("it has ended", () => page.ended !== undefined);
  assert.ok(page.ended instanceof MalformedError, String(page.ended));
  assert.deepEqual([page.ended.what, page.ended.cursor, server.opened], ["heartbeat", "1-0", 5]);
  await over(browser, server, [page]);
});

test("pages go on behind it when that is asked for", async () => {
  const server = new FakeServer();
  server.onStreams = server.inAnswers = garbling("a", 2);
  for (let n = 0; n < 3; n++) {
    server.say("a");
  }
  const browser = new Browser();
  const from = { cursor: "1-2", positions: [["a", 2]] } as const;
  const all = [new Page(browser, server, from), new Page(browser, server, from)];
  await Promise.all(all.map((page) => page.fed()));
  server.say("a");
  await Promise.all(all.map((page) => page.complete()));
  await over(browser, server, all);
});
