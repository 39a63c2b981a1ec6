import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { test } from "node:test";

import type { Acks, Receipt } from "../src/index.ts";
import { maxWaiting } from "../src/feed.ts";
import { Follower } from "../src/follow.ts";
import { sharedName } from "../src/means.ts";
import { Browser } from "./browser.ts";
import { FakeServer } from "./fakeserver.ts";
import { over, Page, pages, until } from "./sharedpage.ts";

test("pages share one connection, whoever comes and goes", async () => {
  const server = new FakeServer();
  server.say("old");
  const { browser, all } = await pages(4, server);
  const [first, second, third] = all as [Page, Page, Page, Page];
  server.say("a");
  server.say("b");
  await Promise.all(all.map((page) => page.complete()));
  assert.deepEqual([server.open, server.opened], [1, 1]);

  await first.leave();
  server.say("a");
  server.say("old");
  await Promise.all(all.slice(1).map((page) => page.complete()));
  await until("another leads", () => server.open === 1);

  second.tab.crash();
  server.cut(); // its connection goes with it
  await second.leave();
  server.say("b");
  await Promise.all([third, all[3]!].map((page) => page.complete()));
  assert.equal(server.most, 1);

  const late = new Page(browser, server);
  await late.fed();
  server.say("c");
  await Promise.all([third, all[3]!, late].map((page) => page.complete()));
  assert.ok(all.every((page) => page.snapshots === 1));
  await over(browser, server, [...all, late]);
});

test("what a page has fetched itself is not given again, and its cursor waits for the leader", async () => {
  const server = new FakeServer();
  server.say("a");
  const { browser, all } = await pages(1, server);
  server.streamsTo = 1; // the leader's connection is slow
  server.say("a");
  server.say("b");
  // It begins before these, so that its own pages give them.
  const second = new Page(browser, server, { cursor: "1-1", positions: [["a", 1]] });
  await second.fed();
  await until("it has fetched them", () => second.seen.length === 2);
  server.streamsTo = 2;
  server.wake();
  await until("the leader has one of them", () => all[0]!.seen.length === 1);
  await pause(20);
  assert.equal(server.covered(second.follower.cursor!), 3, "a cursor of the leader's is not taken that is behind");
  server.streamsTo = Infinity;
  server.say("c");
  await until("the leader's come too", () => second.seen.length === 3);
  assert.deepEqual(second.seen, ["a 2", "b 1", "c 1"]);
  await all[0]!.complete();
  await over(browser, server, [...all, second]);
});

test("what the leader has and a page's own answers do not is fetched from the log", async () => {
  const server = new FakeServer();
  server.say("a");
  const { browser, all } = await pages(1, server);
  server.say("a");
  server.say("a");
  await all[0]!.complete();
  server.pollsLag = 2; // another server answers polls, and is behind
  const second = new Page(browser, server, { cursor: "1-1", positions: [["a", 1]] });
  await until("it has fetched them", () => second.seen.length === 2);
  server.say("b");
  await until("the next comes from the leader", () => second.seen.length === 3);
  assert.deepEqual(second.seen, ["a 2", "a 3", "b 1"]);
  assert.equal(server.covered(second.follower.cursor!), 4);
  await over(browser, server, [...all, second]);
});

test("a page that takes nothing for long fetches what it has not kept", async () => {
  const server = new FakeServer();
  const { browser, all } = await pages(2, server);
  const [leader, slow] = all as [Page, Page];
  for (const held of [slow, leader]) {
    held.hold();
    const before = held.polls;
    for (let n = 0; n < maxWaiting + 300; n++) {
      server.say(n % 3 === 0 ? "a" : "b");
    }
    await (held === slow ? leader : slow).complete();
    assert.equal(server.opened, 1, "nobody waits for the slow one");
    held.release();
    await held.complete();
    assert.ok(held.polls >= before + 5, `${held.polls - before} polls`);
  }
  const polls = server.polls;
  server.say("a");
  await Promise.all(all.map((page) => page.complete()));
  assert.ok(server.polls <= polls + 4, "it is fed again");
  await over(browser, server, all);
});

test("the connection is taken from a leader that does not answer", async () => {
  const server = new FakeServer();
  const { browser, all } = await pages(3, server);
  const [leader, second, third] = all as [Page, Page, Page];
  await pause(800); // nobody has said anything, and the leader answers: it stays
  assert.equal(browser.holder(), leader.tab);
  leader.tab.frozen = true;
  server.say("a");
  await Promise.all([second, third].map((page) => page.complete()));
  assert.notEqual(browser.holder(), leader.tab);
  await until("the first gives its connection up", () => server.open === 1);
  leader.tab.thaw();
  const late = browser.tab().means.channel([...browser.channels][0]!.name);
  late.postMessage({ kind: "item", leader: "the old one", taken: { kind: "event", event: { conversation_id: "c", seq: 1, type: "message" }, cursor: "1-9" } });
  late.close();
  server.say("b");
  await Promise.all(all.map((page) => page.complete()));
  assert.equal(server.open, 1);
  await over(browser, server, all);
});

test("a leader whose timers are slow goes on when another page asks", async (t) => {
  const server = new FakeServer();
  const { browser, all } = await pages(2, server, { timing: { backoff: { first: 200, most: 200 } } });
  const real = globalThis.setTimeout;
  const slow = (what: () => void, ms: number) => (ms >= 100 && ms <= 200 ? real(what, 1e6).unref() : real(what, ms));
  globalThis.setTimeout = Object.assign(slow, real) as typeof setTimeout;
  t.after(() => (globalThis.setTimeout = real));
  server.cut();
  server.say("a");
  await Promise.all(all.map((page) => page.complete()));
  await over(browser, server, all);
});

test("a page that stands still hands over, and catches up when it goes on", async () => {
  const server = new FakeServer();
  const { browser, all } = await pages(2, server);
  const [leader, second] = all as [Page, Page];
  const polls = leader.polls;
  leader.tab.still!();
  await until("the second leads", () => browser.holder() === second.tab);
  server.say("a");
  await second.complete();
  assert.ok(leader.polls === polls && leader.seen.length === 0, "it asks for nothing: who is kept to be gone back to may have no request open");
  leader.tab.goesOn!();
  leader.tab.goesOn!();
  await leader.complete();
  server.say("b");
  await Promise.all(all.map((page) => page.complete()));
  assert.equal(server.most, 1);
  second.tab.still!();
  await until("the first leads again", () => browser.holder() === leader.tab);
  await over(browser, server, all); // it can end, too
});

test("a reset is everybody's", async () => {
  const server = new FakeServer();
  server.say("a");
  const { browser, all } = await pages(3, server);
  server.say("a");
  await Promise.all(all.map((page) => page.complete()));
  server.restore();
  await until("they are told", () => all.every((page) => page.resets === 1 && page.snapshots === 2));
  server.say("z");
  await Promise.all(all.map((page) => page.complete()));
  await until("one leads", () => server.open === 1);
  assert.ok(all.every((page) => page.resets === 1));
  await over(browser, server, all);
});

test("the end of a session is everybody's", async () => {
  const server = new FakeServer();
  const { browser, all } = await pages(3, server);
  server.endSession();
  await until("they have ended", () => all.every((page) => page.ended !== undefined));
  assert.deepEqual(all.map((page) => (page.ended as { code?: string }).code), ["unauthorized", "unauthorized", "unauthorized"]);
  await over(browser, server, all);
});

test("a connection that breaks is everybody's, and only the leader comes back", async () => {
  const server = new FakeServer();
  const { browser, all } = await pages(3, server);
  const polls = server.polls;
  server.cut();
  server.say("a");
  await Promise.all(all.map((page) => page.complete()));
  assert.deepEqual([server.opened, server.polls - polls], [2, 0]);
  for (const page of all) {
    assert.deepEqual(page.states.slice(-2).map((s) => s.state), ["reconnecting", "connected"]);
  }
  await over(browser, server, all);
});

test("delivered is told once, and receipts do not go back", async () => {
  const server = new FakeServer();
  const told: string[] = [];
  const acks = { delivered: (conversation: string, seq: number) => told.push(`${conversation} ${seq}`) } as unknown as Acks;
  const { browser, all } = await pages(2, server, { acks });
  server.say("a");
  server.say("b");
  await Promise.all(all.map((page) => page.complete()));
  assert.deepEqual(told, ["a 1", "b 1"]);

  const receipt = (seq: number): Receipt => ({ conversation_id: "a", user_id: "u", delivered_seq: seq, read_seq: 0 });
  server.streamsTo = 2;
  server.receipts = [receipt(2)];
  const late = new Page(browser, server, { cursor: "1-2", positions: [["a", 1], ["b", 1]] });
  await until("a page has told", () => late.receipts.length > 0);
  await late.fed();
  server.streamsTo = Infinity;
  server.receipts = [receipt(1)]; // the leader's connection is behind
  server.wake();
  await until("the leader has it", () => all[0]!.receipts.length > 0);
  server.receipts = [receipt(3)];
  server.wake();
  await until("the next is told", () => late.receipts.at(-1)?.delivered_seq === 3);
  assert.ok(late.receipts.every((r, n) => r.delivered_seq >= (late.receipts[n - 1]?.delivered_seq ?? 0)));
  await over(browser, server, [...all, late]);
});

test("only those share who ask the same, and their name tells nothing", async () => {
  const { means } = new Browser().tab();
  const server = new FakeServer();
  const client = (token: string) => server.client(undefined, token);
  const name = (token: string, share: true | string = true, conversation?: string) => sharedName(means, client(token), share, conversation);
  const names = await Promise.all([name("one"), name("two"), name("one", "one"), name("one", true, "c")]);
  assert.equal(new Set(names).size, 4);
  assert.ok(names.every((n) => /^holdline-1-[0-9a-f]{64}$/.test(n!)));
  assert.equal(await name("one"), names[0]);
  assert.equal(await name("two", "mine"), await name("one", "mine"));
  const refusing = { ...means, locks: { request: () => Promise.reject(new DOMException("no", "SecurityError")) } };
  assert.equal(await sharedName(refusing, client("one"), true, undefined), undefined);
});

test("without the means each follows alone", async () => {
  const server = new FakeServer();
  const stop = new AbortController();
  const follower = new Follower(server.client(), { share: true, cursor: "1-0", signal: stop.signal }, undefined);
  server.say("a");
  for await (const item of follower) {
    assert.equal(item.kind, "event");
    break;
  }
  assert.equal(server.polls, 0);
});
