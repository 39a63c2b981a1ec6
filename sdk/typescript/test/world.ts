import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";

/** A command for the World, and what it answers: ../../conformance/README.md. */
export interface Command {
  do: string;
  [field: string]: unknown;
}

export interface Result {
  url?: string;
  token?: string;
  conversations?: Record<string, string>;
  logs?: Record<string, { seq: number; type: string; sender_id: string; text?: string; action?: string }[]>;
  heads?: Record<string, number>;
  delivered?: Record<string, number>;
  struck?: number;
}

export interface Step extends Command {
  await?: string;
  transport?: string;
  outcome?: string;
  text?: string;
  count?: number;
  ms?: number;
}

export interface Situation {
  name: string;
  transport: "stream" | "longpoll" | "auto";
  follow: "inbox" | "room";
  from_start?: boolean;
  ack?: boolean;
  server?: string[];
  client: { first_heartbeat_ms?: number; idle_ms?: number; stream_again_ms?: number };
  steps: Step[];
  sees: { end?: string; resets?: number; transport?: string; struck?: number };
}

/** The program that holds a World: it ends with this process, or by {@link Control.end}. */
export class Control {
  readonly #child: ChildProcess;
  readonly #address: string;

  private constructor(child: ChildProcess, address: string) {
    this.#child = child;
    this.#address = address;
  }

  /** Starts one; the programs are named by HOLDLINE_CONFORMANCE and HOLDLINE_PROGRAM. */
  static async start(): Promise<Control> {
    const { HOLDLINE_CONFORMANCE: conformance, HOLDLINE_PROGRAM: program } = process.env;
    if (!conformance || !program) {
      throw new Error("HOLDLINE_CONFORMANCE and HOLDLINE_PROGRAM must name the programs: see sdk/conformance/README.md");
    }
    const child = spawn(conformance, ["--program", program], { stdio: ["pipe", "pipe", "inherit"] });
    for await (const line of createInterface({ input: child.stdout! })) {
      return new Control(child, (JSON.parse(line) as { control: string }).control);
    }
    throw new Error("the control program ended before it listened");
  }

  async end(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.stdin!.end();
    await ended;
  }

  table(): Promise<Situation[]> {
    return this.#ask("GET", "/table");
  }

  world(server: string[] = []): Promise<Result> {
    return this.#ask("POST", "/world", { server });
  }

  do(command: Command): Promise<Result> {
    return this.#ask("POST", "/do", command);
  }

  async #ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(this.#address + path, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    const answer = await response.json();
    if (!response.ok) {
      throw new Error(`${method} ${path} ${JSON.stringify(body)}: ${(answer as { error: string }).error}`);
    }
    return answer as T;
  }
}
