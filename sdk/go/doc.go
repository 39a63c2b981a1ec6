// Package holdline is the Go client of a Holdline chat server: it sends
// messages until it is certain that they were accepted, and follows
// conversations without losing, repeating or reordering anything.
//
// It promises:
//
//  1. Send answers only what is certain. A message that was accepted is stored once, however often it had to
//     be sent; where nothing certain could be learned, the error says so and names the client_id to go on with.
//  2. Follow gives each conversation's events in the order of seq, each once, without a hole, through cut
//     connections, proxies that hold streams back, and restarts of the server. What it cannot give, it names.
//  3. An application that takes its time costs no memory: nothing is read ahead of it but what the connection
//     itself holds. The server ends a connection that stands still, and Follow resumes it.
//  4. Nothing depends on the wall clock. All waiting goes by Go's monotonic clock.
//
// Client has, beside these, one method for each call of the contract; they are generated from openapi.yaml.
package holdline

//go:generate go tool oapi-codegen -config oapi-codegen.yaml ../../openapi.yaml
