import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { after, before, test } from "node:test";

import { Acks, connect, MalformedError, ProblemError, send, type FollowOptions, type Holdline } from "../src/index.ts";
import { Application } from "./application.ts";
import { Browser } from "./browser.ts";
import { Control, type Result, type Situation, type Step } from "./world.ts";

// The table that all SDKs share: ../../conformance/README.md.

const patience = 60_000;
const backoff = { first: 2, most: 20, mostAsked: 20 };
const realNow = Date.now;

/** How many Worlds there are at once: most of the time they wait. */
const lanes = 3;
const controls: Control[] = [];
before(async () => {
  controls.push(...(await Promise.all(Array.from({ length: lanes }, () => Control.start()))));
});
after(async () => {
  await Promise.all(controls.map((control) => control.end()));
});

test("conformance", { concurrency: lanes }, async (t) => {
  const table = await controls[0]!.table();
  assert.ok(table.length > 20, `only ${table.length} situations`);
  // The client's clock is one for the whole process: who sets it runs alone, at the end.
  const clocks = (s: Situation) => s.steps.some((step) => step.do === "client_clock");
  const waiting = table.filter((s) => !clocks(s)).map((situation) => ({ situation, shared: false }));
  // Again as one of two pages that share: not what only a connection, a send or a slow application has to bear.
  const single = ({ steps, sees }: Situation) => sees.struck !== undefined || steps.some((step) => ["send", "clock", "hold"].includes(step.do));
  waiting.push(...waiting.filter(({ situation }) => !single(situation)).map(({ situation }) => ({ situation, shared: true })));
  await Promise.all(
    controls.map(async (control) => {
      for (let next = waiting.shift(); next; next = waiting.shift()) {
        const { situation, shared } = next;
        await t.test(situation.name + (shared ? ", shared" : ""), () => new Run(control, situation, shared).all());
      }
    }),
  );
  for (const s of table.filter(clocks)) {
    await t.test(s.name, () => new Run(controls[0]!, s, false).all());
  }
});

class Run {
  readonly #control: Control;
  readonly #situation: Situation;
  readonly #app = new Application();
  /** Where the pages are that share, and the one that was there first. */
  readonly #browser: Browser | undefined;
  readonly #other = new Application();
  #holdline!: Holdline;
  #ids!: Record<string, string>;
  #acks: Acks | undefined;

  constructor(control: Control, situation: Situation, shared: boolean) {
    this.#control = control;
    this.#situation = situation;
    this.#browser = shared ? new Browser() : undefined;
  }

  async all(): Promise<void> {
    const { server, steps, ack } = this.#situation;
    const world = await this.#control.world(server);
    this.#holdline = connect({ server: world.url!, token: world.token! });
    this.#ids = world.conversations!;
    this.#acks = ack ? new Acks(this.#holdline, { every: 50, backoff }) : undefined;
    try {
      for (const [n, step] of steps.entries()) {
        try {
          await this.#step(step);
        } catch (cause) {
          const { complete, state, ended, transport } = this.#app;
          throw new Error(`step ${n + 1}, ${JSON.stringify(step)}: ${cause}; ${JSON.stringify({ complete: [...complete], state, transport })} ${ended}`, { cause });
        }
      }
    } finally {
      Date.now = realNow;
      await Promise.all([this.#app.leave(), this.#other.leave()]);
      await this.#acks?.close().catch(() => undefined);
    }
    await this.#check();
    if (this.#browser) {
      await this.#checkSeen(this.#other);
      this.#checkEnd(this.#other);
      assert.equal(this.#browser.channels.size, 0, "channels that are left");
    }
  }

  async #follow(): Promise<void> {
    if (this.#browser && !this.#browser.holder()) {
      this.#other.follow(this.#holdline, this.#options(), this.#browser.tab().means);
      await this.#until(() => this.#browser!.holder() !== undefined);
    }
    this.#app.follow(this.#holdline, this.#options(), this.#browser?.tab().means);
  }

  async #step(step: Step): Promise<void> {
    switch (step.do) {
      case "follow":
        return this.#follow();
      case "leave":
        return this.#app.leave();
      case "hold":
        return this.#app.hold();
      case "release":
        return this.#app.release();
      case "send":
        return this.#send(step);
      case "await":
        return this.#await(step);
      case "client_clock":
        Date.now = () => realNow() + step.ms!;
        return;
    }
    await this.#control.do(step);
  }

  #options(): FollowOptions {
    const { transport, follow, from_start, client } = this.#situation;
    return {
      transport: transport === "longpoll" ? "poll" : transport,
      from: from_start ? "start" : "now",
      ...(follow === "room" ? { conversation: this.#ids.room! } : {}),
      ...(this.#acks ? { acks: this.#acks } : {}),
      timing: {
        backoff,
        ...(client.first_heartbeat_ms ? { hello: client.first_heartbeat_ms } : {}),
        ...(client.idle_ms ? { silence: client.idle_ms } : {}),
        ...(client.stream_again_ms ? { streamAgain: client.stream_again_ms } : {}),
      },
    };
  }

  #followed(): string[] {
    return this.#situation.follow === "room" ? [this.#ids.room!] : [this.#ids.room!, this.#ids.side!];
  }

  async #await(step: Step): Promise<void> {
    const app = this.#app;
    const followed = this.#followed();
    switch (step.await) {
      case "heads": {
        const { heads } = await this.#control.do({ do: "heads" });
        return this.#until(() => followed.every((id) => (app.complete.get(id) ?? 0) >= heads![id]!));
      }
      case "live": {
        const transport = step.transport === "longpoll" ? "poll" : step.transport;
        return this.#until(() => app.state?.state === "connected" && app.state.transport === transport);
      }
      case "struck":
        return this.#until(async () => ((await this.#control.do({ do: "struck" })).struck ?? 0) >= step.count!);
      case "delivered":
        return this.#until(async () => {
          const { heads, delivered }: Result = await this.#control.do({ do: "heads" });
          return followed.every((id) => (delivered![id] ?? 0) >= heads![id]!);
        });
      case "reset":
        return this.#until(() => app.resets > 0);
      case "end":
        return this.#until(() => app.ended !== undefined && (!this.#browser || this.#other.ended !== undefined), true);
    }
    throw new Error(`there is nothing called ${step.await} to wait for`);
  }

  async #until(holds: () => boolean | Promise<boolean>, mayEnd = false): Promise<void> {
    const deadline = performance.now() + patience;
    while (!(await holds())) {
      if (this.#app.ended !== undefined && !mayEnd) {
        throw this.#app.ended;
      }
      if (performance.now() > deadline) {
        throw new Error("it does not come true");
      }
      await pause(5);
    }
  }

  async #send({ text, outcome }: Step): Promise<void> {
    let got = "accepted";
    try {
      const event = await send(this.#holdline, this.#ids.room!, text!, { backoff, signal: AbortSignal.timeout(patience) });
      assert.equal(event.text, text);
    } catch (error) {
      if (!(error instanceof ProblemError)) {
        throw error;
      }
      got = error.code;
    }
    assert.equal(got, outcome);
    const { logs } = await this.#control.do({ do: "logs" });
    const times = logs![this.#ids.room!]!.filter((entry) => entry.text === text).length;
    assert.equal(times, got === "accepted" ? 1 : 0, "how often the log has it");
  }

  async #check(): Promise<void> {
    const app = this.#app;
    const { sees } = this.#situation;
    await this.#checkSeen(app);
    this.#checkEnd(app);
    assert.equal(app.resets, sees.resets ?? 0, "resets");
    if (sees.transport) {
      assert.equal(app.transport, sees.transport === "longpoll" ? "poll" : sees.transport);
    }
    if (sees.struck) {
      const { struck } = await this.#control.do({ do: "struck" });
      assert.ok((struck ?? 0) >= sees.struck, `faults struck ${struck} times`);
    }
  }

  #checkEnd({ ended, complete, cursor }: Application): void {
    const room = this.#ids.room!;
    const { end } = this.#situation.sees;
    if (ended instanceof MalformedError) {
      assert.equal("malformed", end);
      assert.deepEqual([ended.what, ended.conversation, ended.seq, ended.cursor], ["event", room, complete.get(room)! + 1, cursor]);
    } else {
      assert.equal(ended instanceof ProblemError ? ended.code : ended, end);
    }
  }

  async #checkSeen(app: Application): Promise<void> {
    const { logs } = await this.#control.do({ do: "logs" });
    for (const [id, log] of Object.entries(logs!)) {
      let at = app.began.get(id) ?? 0;
      for (const event of app.seen.get(id) ?? []) {
        assert.equal(event.seq, at + 1, `${id}: what came after ${at}`);
        at = event.through_seq ?? event.seq;
        if (event.type !== "hidden") {
          const { seq, type, sender_id, text, action } = event;
          const entry = log[seq - 1]!;
          assert.deepEqual([type, sender_id, text, action], [entry.type, entry.sender_id, entry.text, entry.action], `${id}: event ${seq}`);
        }
      }
    }
    assert.deepEqual(app.wrong, []);
  }
}
