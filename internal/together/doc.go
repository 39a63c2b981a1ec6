// Package together puts every kind of client into one group and lets them talk
// while the server is killed: the terminal client, the legacy page in a browser,
// the Go SDK, the TypeScript SDK, the C client and curl. It holds tests only.
package together
