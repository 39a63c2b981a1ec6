// Package chat is the terminal client: `holdline chat`, and for scripts `holdline send` and `holdline tail`.
//
// It promises:
//
//  1. What was typed is not lost. A line is in the outbox, on disk, before it is shown as waiting; it leaves the outbox
//     once the server has accepted or refused it. A client that was killed sends the rest when it starts again, in order,
//     each with the client_id it had, so none of it becomes two messages.
//  2. What comes is shown in order, each message once, through lost connections and restarts of the server.
//  3. Nothing that others wrote reaches the terminal as a command: control characters are shown escaped.
//  4. Tokens are kept in files for their user alone, and never come from the command line.
//  5. `send` says by its exit status whether the message was certainly accepted, certainly refused, or neither. `tail`
//     writes its place only after the line is out.
//
// One goroutine, that of the screen or of the lines, owns all state of a Client; the others hand it functions to run.
package chat
