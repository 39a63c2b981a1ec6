// A member of one conversation: sends each line of its input, prints each event that it is given.
import { createInterface } from "node:readline";

import { connect, follow, send } from "../src/index.ts";

const { HOLDLINE_URL: server, HOLDLINE_TOKEN: token, HOLDLINE_CONVERSATION: conversation } = process.env;
if (!server || !token || !conversation) {
  throw new Error("HOLDLINE_URL, HOLDLINE_TOKEN and HOLDLINE_CONVERSATION must be set");
}
const holdline = connect({ server, token });

async function say(room: string): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    await send(holdline, room, line);
  }
}

async function listen(): Promise<void> {
  for await (const item of follow(holdline, { from: "start" })) {
    if (item.kind === "event") {
      console.log(JSON.stringify(item.event));
    }
  }
}

await Promise.race([say(conversation), listen()]);
process.exit();
