// Package netfault is a TCP proxy that misbehaves on request: it stands between
// a client and a server and delays, throttles, holds back, or cuts what passes.
//
// It promises:
//
//  1. What passes is never changed, doubled or put out of order: the client gets
//     a prefix of what the server wrote, and the server one of what the client wrote.
//  2. After Calm every byte passes at once, on connections that are open too.
//  3. Close ends every connection and every goroutine.
//
// It knows nothing of HTTP; a fault is counted when it strikes.
package netfault
