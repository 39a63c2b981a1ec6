// Package api is Holdline's HTTP side: the server interface generated from
// openapi.yaml and its handlers.
//
// It promises:
//
//  1. The contract is the code's, not only the reader's. Routes, query
//     parameters, bounds and who may use a ticket are read from openapi.yaml at
//     the start; what it does not name is refused.
//  2. Every error a handler meets is one RFC 9457 problem with a stable code,
//     written in one place. Bad input is never a 500.
//  3. Who is asking is settled before anything else is looked at: no answer
//     tells a stranger what exists.
//  4. A finite answer has a Content-Length and `Cache-Control: no-store`, and is
//     cut when its reader does not take it within the write timeout.
//  5. No token, ticket or password is logged, cached in the clear or compared
//     in a time that depends on it.
//  6. With max_bytes no page of the log and no frame of a stream is longer, in
//     whatever form; with coalesce nothing is lost and no ending comes later.
//  7. Nothing runs on that Close does not end and wait for.
//  8. What a browser sends by itself is no proof of what its user wants: a cookie
//     alone changes nothing, whichever site's page made the call.
//
// There is no SQL here, and no goroutine that outlives its request except those of
// live streams and of polls that wait, which Close owns.
package api

//go:generate go tool oapi-codegen -config oapi-codegen.yaml ../openapi.yaml
