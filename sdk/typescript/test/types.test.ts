// What the compiler has to accept, and what it has to refuse: `npm run check` is the test.
import { test } from "node:test";

import { connect, follow, MalformedError, type Event, type Item, type Malformed } from "../src/index.ts";

async function typed(): Promise<void> {
  const holdline = connect({ server: "http://example.org", token: "t" });

  const { data, error } = await holdline.api.GET("/v1/conversations/{conversation_id}/events", {
    params: { path: { conversation_id: "c" }, query: { wait: 25, limit: 10 } },
  });
  const events: Event[] | undefined = data?.events;
  const code: string | undefined = error?.code;
  void events;
  void code;

  // @ts-expect-error a path that the contract does not have
  await holdline.api.GET("/v1/nothing");
  // @ts-expect-error a member that is missing
  await holdline.api.POST("/v1/conversations", { body: { kind: "group" } });
  // @ts-expect-error a parameter of another type
  await holdline.api.GET("/v1/inbox", { params: { query: { wait: "long" } } });

  follow(holdline, { share: true });
  follow(holdline, { share: "ann", conversation: "c" });
  // @ts-expect-error something that is no name
  follow(holdline, { share: 1 });

  for await (const item of follow(holdline, { transport: "auto" })) {
    const known: Item = item;
    void known;
    if (item.kind === "event") {
      const seq: number = item.event.seq;
      void seq;
      // @ts-expect-error an event has no snapshot
      void item.snapshot;
    }
  }
}

/** How an application goes on behind what cannot be read, as README.md has it. */
async function behind(cursor: string, positions: Map<string, number>, show: (item: Item) => void): Promise<void> {
  const holdline = connect({ server: "http://example.org", token: "t" });
  try {
    for await (const item of follow(holdline, { cursor, positions })) show(item);
  } catch (error) {
    if (!(error instanceof MalformedError) || error.conversation === undefined || error.seq === undefined) throw error;
    positions.set(error.conversation, error.seq); // it is left out when this follows again
  }
}

function told(error: MalformedError): Malformed {
  // @ts-expect-error something that there is not
  void (error.what === "word");
  // @ts-expect-error it is not always an event
  const seq: number = error.seq;
  void seq;
  return error.what;
}

test("types", () => void [typed, behind, told]);
