// Package foreign reads the real server's streams with parsers that this
// project did not write. It holds tests only:
//
//   - r3labs/sse, a Go client that hands on the fragment of an event when the
//     connection breaks inside it;
//   - eventsource, the EventSource of npm, on Node.js;
//   - Chromium's own EventSource, fetch and XMLHttpRequest, in a page of another
//     origin than the server's;
//   - curl, reading lines of text.
//
// Each of them reads texts that are meant to break parsers, loses its
// connection in the middle of events, sees the server killed, and ends with the
// exact log, by the means of coming back that it has itself. And each but curl is
// cut off once after every byte of a stream: whatever had arrived by then,
// nothing is missing and nothing is there twice after it has come back.
package foreign
