export { connect, type ConnectOptions, type Conversation, type Event, type Holdline, type MessagePage, type Receipt, type Snapshot } from "./client.ts";
export { newClientId, send, type SendOptions } from "./send.ts";
export { follow, Follower, type FollowOptions, type Item, type State, type Timing } from "./follow.ts";
export { Acks, type AcksOptions } from "./acks.ts";
export { MalformedError, type Malformed } from "./malformed.ts";
export { OutcomeUnknownError, PassingError, ProblemError, SilenceError, type Problem } from "./problem.ts";
export type { BackoffOptions } from "./backoff.ts";
export type { components, operations, paths } from "./schema.gen.ts";
